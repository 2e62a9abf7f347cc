"""Masking of secrets in text: by the name they stand behind, and by the values known to be secret."""

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from math import isfinite
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 6
MOST_VALUES = 4_096
DEPTH = 6
ITEMS = 100

_NAME = (
    r"(?:pass(?:word|wd|phrase|code)|(?<![a-z])(?:pass(?![a-z])|pwd)|secret|token(?!s)|authori[sz]ation|api[_-]?key|"
    r"access[_-]?key|private[_-]?key|encryption[_-]?keys?|credential|cookie|signature|"
    r"access[_-]sign)"
)
_NAMED = re.compile(_NAME, re.IGNORECASE)
# The name's beginning needs no match (it stays as it is), which keeps this linear on long words.
_ASSIGNED = re.compile(
    rf"""(?P<name>{_NAME}[\w.-]{{0,40}} \\*["']? \s{{0,4}} (?:=>|[:=]) \s{{0,4}} (?:b(?=["']))?)
    (?: (?P<escaped>\\+["']) .*? (?:(?P=escaped)|\Z)
      | "(?:[^"\\]|\\.)*"?
      | '(?:[^'\\]|\\.)*'?
      | [\[{{(] [^\]}})]* [\]}})]?
      | (?:(?:Bearer|Basic|Digest|Token|Negotiate)\s+)? [^\s,;&"'<>)\]}}]+
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_COOKIE = re.compile(r"(cookie\\*[\"']?\s{0,4}:\s{0,4})[^\r\n]+", re.IGNORECASE)
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(://[^\s:/?#@\"'<>]{0,256}):[^\s/?#\"'<>]{1,512}@")


class Secrets:
    """The values known to be secret: bounded, the longest unused forgotten first."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._lock = Lock()
        self._values: OrderedDict[str, None] = OrderedDict()
        self._longest_first: tuple[str, ...] = ()

    def add(self, *values: str) -> None:
        """Know `values` as secret, and the ways they look quoted or escaped; under 6 characters are left out."""
        with self._lock:
            for value in values:
                for form in _forms(value):
                    self._values[form] = None
                    self._values.move_to_end(form)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
            self._longest_first = tuple(sorted(self._values, key=len, reverse=True))

    @property
    def longest(self) -> int:
        """Characters of the longest known value."""
        return len(self._longest_first[0]) if self._longest_first else 0

    def hide(self, text: str) -> str:
        """`text` with every known value masked, longest first."""
        for value in self._longest_first:
            if value in text:
                text = text.replace(value, MASK)
        return text


def is_secret_name(name: str) -> bool:
    """Whether what stands behind this name is to be masked."""
    return _NAMED.search(name) is not None


def hide_named(text: str) -> str:
    """`text` with passwords in URLs and values behind secret names (key=value, JSON, headers) masked."""
    text = _USERINFO.sub(rf"\1:{MASK}@", text)
    text = _COOKIE.sub(rf"\1{MASK}", text)
    text = _ASSIGNED.sub(rf"\g<name>{MASK}", text)
    return _SCHEME.sub(rf"\1 {MASK}", text)


def redact(text: str, secrets: Secrets) -> str:
    """`text` without what is known or named as secret."""
    # Values first: masking by name could cut a known value in two and show its rest.
    return hide_named(secrets.hide(text))


def redact_fact(name: str, value: Any, secrets: Secrets) -> Any:
    """A plain fact (see `plain`) without what is known or named as secret."""
    if is_secret_name(name) and value is not None and not isinstance(value, bool):
        return MASK
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {
            redact(key, secrets): redact_fact(key, item, secrets) for key, item in value.items()
        }
    if isinstance(value, list):
        return [redact_fact("", item, secrets) for item in value]
    return value


def plain(value: Any, depth: int = 0) -> Any:
    """A bounded copy of a logged fact as str, int, float, bool, None, dict or list; never raises."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if depth < DEPTH and isinstance(value, Mapping):
        items = islice(value.items(), ITEMS)
        return {plain_text(key): plain(item, depth + 1) for key, item in items}
    if depth < DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in islice(value, ITEMS)]
    return plain_text(value)


def plain_text(value: object) -> str:
    """`str(value)`, or its type's name when that fails."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - whatever a foreign __str__ does, a log line must not fail
        return f"<{type(value).__name__}>"


def _forms(value: str) -> set[str]:
    forms = {
        value,
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
    }
    return {form for form in forms if len(form) >= SHORTEST}
