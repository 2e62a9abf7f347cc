"""Named secrets of a workspace, which connectors and later contexts refer to by name."""

from domain.secrets import privacy as _privacy  # noqa: F401 - adds its part to exports
from domain.secrets.entities import Secret
from domain.secrets.errors import SecretInUse, SecretLimitReached, SecretNotFound
from domain.secrets.registry import (
    SECRET_LIMIT,
    DeletedSecret,
    Safe,
    by_id,
    delete_secret,
    hold,
    secrets,
    set_secret,
    usable,
)
from domain.secrets.uses import finds_users, users_of
from domain.secrets.values import VALUE_LIMIT, check_name, masked, opened, sealed

__all__ = [
    "SECRET_LIMIT",
    "VALUE_LIMIT",
    "DeletedSecret",
    "Safe",
    "Secret",
    "SecretInUse",
    "SecretLimitReached",
    "SecretNotFound",
    "by_id",
    "check_name",
    "delete_secret",
    "finds_users",
    "hold",
    "masked",
    "opened",
    "sealed",
    "secrets",
    "set_secret",
    "usable",
    "users_of",
]
