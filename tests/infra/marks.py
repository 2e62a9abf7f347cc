"""Secrets that can be told anywhere: in logs, answers, rows and files, in whatever way they are written."""

import base64
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

SHORTEST = 8


def a_mark(name: str, more: str = "") -> str:
    """A secret of this name: letters and digits that stand nowhere else, and `more`."""
    return f"{name}{secrets.token_hex(10)}{more}"


def forms(mark: str) -> set[str]:
    """The ways in which a text may be written within another."""
    raw = mark.encode()
    found = {
        mark,
        repr(mark)[1:-1],
        json.dumps(mark)[1:-1],
        json.dumps(mark, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(mark)[1:-1])[1:-1],
        quote(mark),
        quote(mark, safe=""),
        quote_plus(mark),
        raw.hex(),
        raw.hex().upper(),
        *_within_base64(raw),
    }
    return {form for form in found if len(form) >= SHORTEST}


def _within_base64(raw: bytes) -> Iterator[str]:
    """What base64 of any text with these bytes in it contains, by where they begin."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(before) + raw).decode().rstrip("=")
            cut = 1 if (before + len(raw)) % 3 else 0
            yield text[-(-before * 8 // 6) : len(text) - cut]


@dataclass
class Marks:
    """Secrets by name, and where each may be seen all the same."""

    values: dict[str, str] = field(default_factory=dict)
    places: dict[str, set[str]] = field(default_factory=dict)

    def new(self, name: str, more: str = "", *, allowed: str = "") -> str:
        """A fresh secret."""
        return self.add(name, a_mark(name, more), allowed=allowed)

    def add(self, name: str, value: str, *, allowed: str = "") -> str:
        """A secret that the service made; `allowed` names the place that shows it."""
        self.values[name] = value
        self.places[name] = {allowed}
        return value

    def found(self, place: str, text: str) -> list[str]:
        """What of all this a place shows and must not: each with what stands around it."""
        seen = []
        for name, value in self.values.items():
            if place in self.places[name]:
                continue
            for form in forms(value):
                at = text.find(form)
                if at >= 0:
                    around = text[max(0, at - 120) : at + len(form) + 60]
                    seen.append(f"{name} in {place}: {around!r}")
                    break
        return seen
