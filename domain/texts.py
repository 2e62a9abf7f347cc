"""Rules that every text from outside must keep."""

from domain.errors import InvalidInput


def check_text(field: str, text: str, shortest: int, longest: int) -> None:
    """Raise InvalidInput unless the text has the length (in UTF-8 bytes past 1,000) and PostgreSQL can hold it."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(field=field, reason="is not valid Unicode") from error
    if "\0" in text or "\\u0000" in text:
        raise InvalidInput(field=field, reason="must not contain a null character")
    if len(text) < shortest:
        raise InvalidInput(field=field, reason="must not be empty")
    if (size if longest > 1000 else len(text)) > longest:
        raise InvalidInput(field=field, reason=f"must be at most {longest} long")
