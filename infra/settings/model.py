"""Everything an operator can set: the database, the stream, logs; the rest in the classes it inherits."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from infra.security.keys import read_key
from infra.settings.front import FrontDoorSettings
from infra.settings.identity import IdentitySettings
from infra.settings.values import check_url, split_list

PREFIX = "PENSTOCK_"
TEST_PREFIX = "PENSTOCK_TEST_"
ENV_FILE = Path(".env")
NEW_KEY = "penstock keys generate"
LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["simple", "detailed", "structured", "json"]


class Settings(IdentitySettings, FrontDoorSettings):
    """Everything an operator can set. Sizes are bytes and durations carry their unit in the name."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL 15 or newer, `postgresql://user:password@host:port/database`. "
        "Unset: an embedded server in the data directory.",
    )
    data_dir: Path = Field(
        default=Path(".penstock"),
        description="Directory of the embedded database and the key file.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(
        default=8000, ge=0, le=65_535, description="TCP port to listen on; 0 takes any free one."
    )
    bus_url: SecretStr = Field(
        default=SecretStr("memory://"),
        description="Bus between processes: `memory://` within one process, else "
        "`redis://host:port/0` or `rediss://...`.",
    )
    encryption_keys: Annotated[list[SecretStr], NoDecode] = Field(
        default=[],
        description="Keys for secrets at rest, base64 of 32 bytes each, comma-separated, newest "
        "first. Unset: a key file in the data directory.",
    )
    batch_rows: int = Field(
        default=5_000, ge=1, le=100_000, description="Most messages written in one transaction."
    )
    batch_age_ms: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Longest time a message waits for others before it is written, milliseconds.",
    )
    buffer_rows: int = Field(
        default=200_000,
        ge=1_000,
        le=10_000_000,
        description="Most messages held in memory while the database cannot take them; then readers "
        "are slowed.",
    )
    shed_after_seconds: float = Field(
        default=10.0,
        ge=0.1,
        le=3_600,
        description="How long a reader waits on a full buffer before it sheds, and says so, seconds.",
    )
    retention_days: int = Field(
        default=30, ge=1, le=3_650, description="How long messages are kept, days."
    )
    partition_hours: int = Field(
        default=24,
        ge=1,
        le=744,
        description="Span of one partition of the messages table, hours.",
    )
    frame_limit_bytes: int = Field(
        default=1_048_576,
        ge=1_024,
        le=67_108_864,
        description="Largest frame read from a WebSocket source, bytes.",
    )
    response_limit_bytes: int = Field(
        default=16_777_216,
        ge=1_024,
        le=268_435_456,
        description="Largest response read from a REST source, bytes.",
    )
    allow_private_addresses: bool = Field(
        default=False,
        description="Whether connectors may reach loopback, link-local and private addresses.",
    )
    lease_seconds: float = Field(
        default=6.0,
        ge=1.0,
        le=60.0,
        description="How long a connector stays with a process that went silent, seconds.",
    )
    slow_operation_ms: int = Field(
        default=500,
        ge=1,
        le=600_000,
        description="Operations that take longer are warned about, milliseconds.",
    )
    log_level: LogLevel = Field(default="INFO", description="Least severe level that is logged.")
    log_format: LogFormat = Field(
        default="simple",
        description="`simple` and `detailed` for people, `structured` (key=value) and `json` for "
        "machines.",
    )
    outbox_events: int = Field(
        default=1_024,
        ge=1,
        le=1_048_576,
        description="Most events waiting for one subscriber.",
    )
    outbox_bytes: int = Field(
        default=8_388_608,
        ge=65_536,
        le=1_073_741_824,
        description="Most bytes waiting for one subscriber's socket.",
    )
    pool_size: int = Field(
        default=10, ge=1, le=500, description="Most database connections for queries, per process."
    )
    ingest_connections: int = Field(
        default=4, ge=1, le=64, description="Database connections for writing, per process."
    )
    demo: bool = Field(
        default=False,
        description="Whether to run the demo: a workspace whose connectors read the replayer.",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("encryption_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_list(value)

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_url(value, {"postgresql", "postgres"}, "postgresql://user:password@host:5432/db")
        return value

    @field_validator("bus_url")
    @classmethod
    def _bus_url(cls, value: SecretStr) -> SecretStr:
        check_url(value, {"memory", "redis", "rediss"}, "memory:// or redis://host:6379/0")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _keys(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for number, key in enumerate(keys, start=1):
            try:
                read_key(key.get_secret_value())
            except ValueError as error:
                raise ValueError(f"key {number}: {error}; make one with `{NEW_KEY}`") from None
        if len({read_key(key.get_secret_value()) for key in keys}) != len(keys):
            raise ValueError("the same key is given twice")
        return keys

    @field_validator("buffer_rows")
    @classmethod
    def _holds_a_batch(cls, rows: int, info: ValidationInfo) -> int:
        if rows < info.data.get("batch_rows", 0):
            raise ValueError(f"must be at least {PREFIX}BATCH_ROWS ({info.data['batch_rows']})")
        return rows

    def secrets(self) -> list[str]:
        """Every secret value in here, for the log's masking."""
        given = [self.database_url, self.bus_url, self.rate_limit_url, self.smtp_url]
        urls = [url.get_secret_value() for url in given if url is not None]
        passwords = [urlsplit(url).password or "" for url in urls]
        plain = [
            *self.encryption_keys,
            self.token_secret,
            self.metrics_token,
            self.demo_password,
            *(provider.client_secret for provider in self.openid_providers),
        ]
        values = [secret.get_secret_value() for secret in plain if secret is not None]
        return [secret for secret in [*passwords, *map(unquote, passwords), *values] if secret]
