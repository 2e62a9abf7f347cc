"""The GraphQL documents in README.md and docs/, for tests that check or run them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```graphql\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """One fenced document: the page it is on, its number there (from 1) and its text."""

    page: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


def examples(*pages: Path) -> list[Example]:
    """The documents of these pages, of all when none is named."""
    return [
        Example(page.name, number, text)
        for page in pages or PAGES
        for number, text in enumerate(_FENCE.findall(page.read_text(encoding="utf-8")), start=1)
    ]
