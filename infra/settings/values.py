"""Checks that several settings share."""

from urllib.parse import urlsplit

from pydantic import SecretStr


def check_url(value: SecretStr, schemes: set[str], example: str) -> None:
    """Raise ValueError, with the example, for what is no URL of one of the schemes."""
    try:
        parts = urlsplit(value.get_secret_value())
        scheme, _ = parts.scheme, parts.port
    except ValueError:
        raise ValueError(f"is no URL; write {example}") from None
    if scheme not in schemes or "://" not in value.get_secret_value():
        raise ValueError(f"must be a URL such as {example}")


def split_list(value: object) -> object:
    """A comma-separated list from text; anything else as it is."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value
