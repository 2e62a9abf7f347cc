"""Settings: read from `PENSTOCK_*` variables and `.env`, checked at start, secrets never shown."""

import difflib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from infra.security.vault import read_key

PREFIX = "PENSTOCK_"
TEST_PREFIX = "PENSTOCK_TEST_"
ENV_FILE = Path(".env")
NEW_KEY = "openssl rand -base64 32"
LogLevel = Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["simple", "detailed", "structured", "json"]


class Settings(BaseSettings):
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
    cors_origins: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Origins whose pages may call the API, over HTTP and WebSocket, comma-separated, such "
        "as `https://app.example.com`; `*` for all. Unset: none but its own.",
    )
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Names by which the service may be called while it listens on a loopback address, "
        "beside `localhost` and addresses, comma-separated, such as a local proxy's "
        "`api.example.com`; `*` for all. On any other address every name is taken.",
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
    max_query_depth: int = Field(
        default=15, ge=1, le=100, description="Deepest nesting of fields in a document."
    )
    max_query_cost: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000_000,
        description="Highest cost of a document: fields times the items of the pages around them.",
    )
    max_query_tokens: int = Field(
        default=4_000, ge=1, le=1_000_000, description="Longest document, lexical tokens."
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

    @field_validator("cors_origins", "allowed_hosts", "encryption_keys", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            parts = urlsplit(origin)
            plain = f"{parts.scheme}://{parts.netloc}" == origin and parts.netloc
            if origin != "*" and not (parts.scheme in {"http", "https"} and plain):
                raise ValueError(f"{origin!r} is no origin: scheme, host and port without a path")
        return origins

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _check_url(value, {"postgresql", "postgres"}, "postgresql://user:password@host:5432/db")
        return value

    @field_validator("bus_url")
    @classmethod
    def _bus_url(cls, value: SecretStr) -> SecretStr:
        _check_url(value, {"memory", "redis", "rediss"}, "memory:// or redis://host:6379/0")
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
        urls = [self.bus_url] if self.database_url is None else [self.bus_url, self.database_url]
        passwords = [urlsplit(url.get_secret_value()).password or "" for url in urls]
        keys = [key.get_secret_value() for key in self.encryption_keys]
        return [secret for secret in [*passwords, *map(unquote, passwords), *keys] if secret]


class InvalidSettings(Exception):
    """The settings cannot be used; `problems` has a line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and `.env`; `overrides` win. Raises InvalidSettings with all problems."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = settings_problems(error)
    except UnicodeDecodeError:
        problems = [f"{ENV_FILE}: is not UTF-8 text; save it as UTF-8"]
    except OSError as error:
        problems = [f"{ENV_FILE}: cannot be read ({error.strerror}); let this user read it"]
    # raised here and not in the handler: what pydantic saw may be a secret and stays out of tracebacks
    raise InvalidSettings(problems)


def settings_problems(error: ValidationError) -> list[str]:
    """A line for each problem: the variable, what is wrong with it and how to mend it; never its value."""
    return [_problem(item) for item in error.errors(include_url=False, include_input=False)]


def unknown_variables(
    environment: Mapping[str, str] | None = None, env_file: Path = ENV_FILE
) -> list[str]:
    """A line for each `PENSTOCK_*` variable that no setting has, with the nearest name when one is near."""
    given = set(os.environ if environment is None else environment)
    if env_file.is_file():
        given |= set(dotenv_values(env_file))
    known = [variable(name) for name in Settings.model_fields]
    warnings = []
    for name in sorted(name for name in given if name.upper().startswith(PREFIX)):
        if name.upper() in known or name.startswith(TEST_PREFIX):
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
        hint = f"; did you mean {near[0]}?" if near else ""
        warnings.append(f"{name}: is no setting of Penstock{hint}")
    return warnings


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _problem(item: Any) -> str:
    reason = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    field = str(item["loc"][0])
    setting = Settings.model_fields[field]
    if item["type"] != "value_error":
        reason = f"must be {reason}" if item["msg"].startswith("Input should be ") else reason
    name = variable(field)
    if field in {"host", "port", "data_dir"}:
        name += f" (or --{field.replace('_', '-')})"
    example = "" if setting.default in (None, []) else f"; the default is {_shown(setting.default)}"
    return f"{name}: {reason}{example}"


def _check_url(value: SecretStr, schemes: set[str], example: str) -> None:
    try:
        parts = urlsplit(value.get_secret_value())
        scheme, _ = parts.scheme, parts.port
    except ValueError:
        raise ValueError(f"is no URL; write {example}") from None
    if scheme not in schemes or "://" not in value.get_secret_value():
        raise ValueError(f"must be a URL such as {example}")


def _shown(default: object) -> str:
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, bool):
        return str(default).lower()
    return str(default)


def settings_table() -> str:
    """The page `docs/settings.md`: every setting, its default, its bounds and what it is."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable, or a line of a `.env` file in the working directory",
        "(the environment wins). They are checked at start: all problems are reported at once, and a",
        "`PENSTOCK_*` variable that is no setting is warned about. Values of secrets (marked *secret*)",
        "are never printed. This page is generated: `uv run python -m infra.settings > docs/settings.md`.",
        "",
        "| variable | default | values | what it is |",
        "| --- | --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, []) else f"`{_shown(field.default)}`"
        lines.append(f"| `{variable(name)}` | {default} | {_values(name)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _values(name: str) -> str:
    schema = Settings.model_json_schema()["properties"][name]
    if name in {"database_url", "bus_url", "encryption_keys"}:
        return "*secret*"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "minimum" in schema:
        return f"{schema['minimum']:,} to {schema['maximum']:,}"
    return {"boolean": "`true`, `false`", "array": "list", "string": "text"}[schema["type"]]


if __name__ == "__main__":
    sys.stdout.write(settings_table())
