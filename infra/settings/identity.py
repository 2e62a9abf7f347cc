"""Settings of identity: tokens, passwords, mail, OpenID providers, secrets and the audit."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from infra.settings.values import check_url


class OpenIdProvider(BaseModel, frozen=True, extra="forbid"):
    """A provider people may sign in with; all but these four is found at its discovery URL."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    discovery_url: str
    client_id: str
    client_secret: SecretStr | None = None
    scope: str = "openid email profile"


class IdentitySettings(BaseSettings):
    """Who may act, and how they prove who they are."""

    public_url: str | None = Field(
        default=None,
        description="Where clients reach this service, such as `https://api.example.com`: the issuer of its tokens "
        "and the base of its links. Unset: tokens are issued by `penstock`, and links start with `http://host:port` as "
        "it listens.",
    )
    app_url: str | None = Field(
        default=None,
        description="The application that links in mails lead to, such as `https://app.example.com`. Unset: mails "
        "hold the token alone.",
    )
    registration: Literal["open", "invited"] = Field(
        default="open",
        description="`open`: anybody may register. `invited`: only who was invited to a workspace.",
    )
    token_algorithm: Literal["EdDSA", "HS256"] = Field(
        default="EdDSA",
        description="How access tokens are signed: `EdDSA` with published keys, or `HS256` with a shared secret.",
    )
    token_secret: SecretStr | None = Field(
        default=None, description="Secret of `HS256`, at least 32 bytes."
    )
    token_audience: str = Field(
        default="penstock", min_length=1, description="Audience of access tokens."
    )
    access_token_minutes: int = Field(
        default=15, ge=1, le=1_440, description="How long an access token is good, minutes."
    )
    session_days: int = Field(
        default=30, ge=1, le=365, description="How long a session lasts without being used, days."
    )
    websocket_token_parameter: bool = Field(
        default=False,
        description="Whether a WebSocket may carry its token in the URL, as `?token=...`.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="Mail server, `smtp://user:password@host:587` (STARTTLS when offered) or `smtps://...`. Unset: "
        "mails are written to `outbox` in the data directory.",
    )
    mail_from: str = Field(default="Penstock <penstock@localhost>", description="Sender of mails.")
    openid_providers: list[OpenIdProvider] = Field(
        default=[],
        description='OpenID providers, a JSON list of `{"name", "discovery_url", "client_id", '
        '"client_secret"}`.',
    )
    deletion_grace_days: int = Field(
        default=14,
        ge=0,
        le=365,
        description="How long a deleted account can still be kept by signing in, days.",
    )
    audit_days: int = Field(
        default=365, ge=1, le=3_650, description="How long audit events are kept, days."
    )
    demo_password: SecretStr | None = Field(
        default=None,
        description="Password of the demo's user. Unset: one is made and kept in the data directory.",
    )

    @field_validator("public_url", "app_url")
    @classmethod
    def _web_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        check_url(SecretStr(value), {"http", "https"}, "https://api.example.com")
        return value.rstrip("/")

    @field_validator("smtp_url")
    @classmethod
    def _smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_url(value, {"smtp", "smtps"}, "smtp://user:password@host:587")
        return value

    @field_validator("token_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 32:
            raise ValueError("must be at least 32 bytes")
        return value
