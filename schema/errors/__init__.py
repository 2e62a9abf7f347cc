"""Domain errors as clients see them."""

from schema.errors.base import Error
from schema.errors.codes import ErrorCode
from schema.errors.common import InvalidInput, NoFieldsToUpdate, StaleVersion
from schema.errors.connectors import (
    AddressRefused,
    ConnectorLimitReached,
    ConnectorNameTaken,
    ConnectorNotFound,
)
from schema.errors.mutations import ErrorsAsData, mutation
from schema.errors.secrets import SecretInUse, SecretLimitReached, SecretNotFound
from schema.errors.top import top_level

__all__ = [
    "AddressRefused",
    "ConnectorLimitReached",
    "ConnectorNameTaken",
    "ConnectorNotFound",
    "Error",
    "ErrorCode",
    "ErrorsAsData",
    "InvalidInput",
    "NoFieldsToUpdate",
    "SecretInUse",
    "SecretLimitReached",
    "SecretNotFound",
    "StaleVersion",
    "mutation",
    "top_level",
]
