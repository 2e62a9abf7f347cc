"""Where each value of a JSON text stands, so that a field can be rewritten without touching its neighbours."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]

_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BARE = re.compile(rb"[^,\]}\s]+")


@dataclass(frozen=True, slots=True)
class Span:
    """One value: `text[start:end]`; a string's span leaves its quotes out, a container's includes its brackets."""

    path: Path
    start: int
    end: int
    scalar: bool


def parse(text: bytes) -> tuple[Any, list[Span]]:
    """The value of a JSON text and the spans of all values in it, by start; raises ValueError for anything else."""
    value = json.loads(text)
    return value, sorted(_walk(text, ()), key=lambda span: span.start)


def _walk(text: bytes, root: Path) -> Iterator[Span]:
    """The spans of a text already known to be JSON, containers after their contents."""
    open_containers: list[tuple[Path, int, str | int]] = []
    path, at = root, _skip(text, 0)
    while True:
        byte = text[at : at + 1]
        if byte in (b"{", b"["):
            inner = _skip(text, at + 1)
            if text[inner : inner + 1] not in (b"}", b"]"):
                open_containers.append((path, at, -1))
                path, at, open_containers[-1] = _enter(text, inner, open_containers[-1])
                continue
            yield Span(path, at, inner + 1, scalar=False)
            at = inner + 1
        else:
            span = _scalar(text, at, path)
            yield span
            at = span.end + (1 if byte == b'"' else 0)
        while True:
            at = _skip(text, at)
            if not open_containers:
                return
            if text[at : at + 1] == b",":
                path, at, open_containers[-1] = _enter(
                    text, _skip(text, at + 1), open_containers[-1]
                )
                break
            path, start, _ = open_containers.pop()
            yield Span(path, start, at + 1, scalar=False)
            at += 1


def _enter(
    text: bytes, at: int, container: tuple[Path, int, str | int]
) -> tuple[Path, int, tuple[Path, int, str | int]]:
    """The next member's path and start, and its container moved on to it."""
    path, start, last = container
    if text[start : start + 1] == b"[":
        index = last + 1 if isinstance(last, int) else 0
        return (*path, index), at, (path, start, index)
    end = _end(_STRING, text, at)
    key = str(json.loads(text[at:end]))
    colon = _skip(text, end)
    return (*path, key), _skip(text, colon + 1), (path, start, key)


def _scalar(text: bytes, at: int, path: Path) -> Span:
    if text[at : at + 1] == b'"':
        return Span(path, at + 1, _end(_STRING, text, at) - 1, scalar=True)
    return Span(path, at, _end(_BARE, text, at), scalar=True)


def _skip(text: bytes, at: int) -> int:
    return _end(_SPACE, text, at)


def _end(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    """Where the token that stands at `at` ends."""
    match = pattern.match(text, at)
    if match is None:
        raise ValueError(f"no JSON at byte {at}")
    return match.end()
