"""Which of the media types a server can send a client wants most (RFC 9110, section 12.5.1)."""

from dataclasses import dataclass
from typing import Final

GRAPHQL: Final = "application/graphql-response+json"
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html"

RANGES: Final = 50
"""Media ranges read of one header; the rest is ignored."""


@dataclass(frozen=True, slots=True)
class Accept:
    """An `Accept` header, as media ranges and their quality; one that is missing accepts anything."""

    ranges: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, header: str | None) -> "Accept":
        """Read a header; ranges that cannot be understood are left out."""
        if header is None or not header.strip():
            return cls((("*/*", 1.0),))
        ranges = []
        for part in header.split(",")[:RANGES]:
            media, *parameters = (text.strip().lower() for text in part.split(";"))
            quality = 1.0
            for parameter in parameters:
                name, _, value = parameter.partition("=")
                if name.strip() == "q":
                    quality = _quality(value.strip())
            ranges.append((media, quality))
        return cls(tuple(ranges))

    def quality(self, media: str) -> tuple[float, int]:
        """How much a type is wanted, 0 to 1, and how precisely that was said: 0 `*/*`, 1 `type/*`, 2 itself."""
        patterns = ("*/*", media.split("/")[0] + "/*", media)
        best = (0.0, -1)
        for range_, quality in self.ranges:
            if range_ in patterns:
                precision = patterns.index(range_)
                if precision > best[1] or (precision == best[1] and quality > best[0]):
                    best = (quality, precision)
        return best

    def accepts(self, media: str) -> bool:
        """Whether this type may be sent at all."""
        return self.quality(media)[0] > 0

    def best(self, *offered: str) -> str | None:
        """The type wanted most, the earlier offered in doubt; None when none is wanted."""
        wanted = max(offered, key=self.quality)
        return wanted if self.accepts(wanted) else None

    @property
    def prefers_html(self) -> bool:
        """Whether a person's browser asks, rather than a program."""
        html = self.quality(HTML)[0]
        return html > max(self.quality(GRAPHQL)[0], self.quality(JSON)[0])


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
