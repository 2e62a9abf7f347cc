"""People and how they prove who they are."""

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, DateTime, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from domain.columns import text_enum


class UserStatus(Enum):
    """Whether a person may sign in."""

    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"


class SignInMethod(Enum):
    """How a session began."""

    PASSWORD = "password"  # noqa: S105 - the method's name
    OPENID_CONNECT = "openid_connect"
    OPERATOR = "operator"


class SessionEnd(Enum):
    """Why a session ended before its time."""

    SIGNED_OUT = "signed_out"
    ENDED = "ended"
    TOKEN_REUSED = "token_reused"  # noqa: S105 - a reason
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason
    DEACTIVATED = "deactivated"


class OneTimePurpose(Enum):
    """What a token that is good once is for."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
    DELETE_ACCOUNT = "delete_account"
    SIGN_IN = "sign_in"
    CHANGE_EMAIL = "change_email"
    LINK_PROVIDER = "link_provider"
    CONFIRM_LINK = "confirm_link"


class User(SQLModel, table=True):
    """A person. How they prove it is in `Credential`, which the API's own role cannot read."""

    __tablename__ = "users"
    __table_args__ = (Index("users_email_key", text("lower(email)"), unique=True),)

    id: UUID = Field(primary_key=True)
    email: str = Field(max_length=254)
    name: str = Field(default="", max_length=200)
    time_zone: str = Field(default="UTC", max_length=64)
    status: UserStatus = Field(default=UserStatus.ACTIVE, sa_type=text_enum(UserStatus))
    email_verified_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    second_factor: bool = False
    deletion_due_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(sa_type=DateTime(timezone=True))


class Credential(SQLModel, table=True):
    """A user's password hash and second factor; `totp_last_step` keeps a code from being used twice."""

    __tablename__ = "credentials"

    user_id: UUID = Field(primary_key=True, foreign_key="users.id", ondelete="CASCADE")
    password_hash: str | None = None
    password_changed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    totp_sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    totp_confirmed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    totp_last_step: int = Field(default=0, sa_type=BigInteger)


class RecoveryCode(SQLModel, table=True):
    """A code that stands in once for the second factor."""

    __tablename__ = "recovery_codes"

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    code_hash: bytes = Field(sa_type=LargeBinary)
    used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class ExternalIdentity(SQLModel, table=True):
    """A user as an OpenID provider knows them."""

    __tablename__ = "external_identities"
    __table_args__ = (
        UniqueConstraint("issuer", "subject", name="external_identities_subject_key"),
    )

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    provider: str = Field(max_length=100)
    issuer: str = Field(max_length=500)
    subject: str = Field(max_length=255)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_used_at: datetime = Field(sa_type=DateTime(timezone=True))


class SessionRecord(SQLModel, table=True):
    """A sign-in on one device; its refresh tokens are one family."""

    __tablename__ = "sessions"

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    method: SignInMethod = Field(sa_type=text_enum(SignInMethod))
    second_factor: bool = False
    device: str | None = Field(default=None, max_length=500)
    address: str | None = Field(default=None, max_length=100)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_used_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    ended_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    end_reason: SessionEnd | None = Field(default=None, sa_type=text_enum(SessionEnd))


class RefreshToken(SQLModel, table=True):
    """A token that continues a session once; a second use ends the session."""

    __tablename__ = "refresh_tokens"

    id: UUID = Field(primary_key=True)
    session_id: UUID = Field(foreign_key="sessions.id", ondelete="CASCADE", index=True)
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class OneTimeToken(SQLModel, table=True):
    """A token sent by mail, or handed over after an OpenID sign-in."""

    __tablename__ = "one_time_tokens"

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", index=True)
    purpose: OneTimePurpose = Field(sa_type=text_enum(OneTimePurpose))
    token_hash: bytes = Field(sa_type=LargeBinary, unique=True)
    facts: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    expires_at: datetime = Field(sa_type=DateTime(timezone=True))
    used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class SignInAttempts(SQLModel, table=True):
    """Failed sign-ins to one address, known or not; `key` is SHA-256 of the lower-case e-mail address."""

    __tablename__ = "sign_in_attempts"

    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    failures: int = 0
    last_failure_at: datetime = Field(sa_type=DateTime(timezone=True))
    locked_until: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class SigningKey(SQLModel, table=True):
    """A key pair for access tokens: the private half sealed, the public half published until `expires_at`."""

    __tablename__ = "signing_keys"

    id: str = Field(primary_key=True, max_length=64)
    algorithm: str = Field(max_length=20)
    public: dict[str, Any] = Field(sa_type=JSON)
    sealed: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    retired_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    expires_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
