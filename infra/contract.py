"""The API's contract: `schema.graphql` is what the code prints, and breaks nobody without saying so."""

import difflib
import re
import subprocess
from pathlib import Path

from graphql import build_schema
from graphql.utilities import find_breaking_changes

SCHEMA_FILE = Path("schema.graphql")
CHANGELOG = Path("CHANGELOG.md")

REPRINT = f"run `penstock schema print > {SCHEMA_FILE}`"

_DIFF_LINES = 40
_COORDINATE = re.compile(r"@\w+(?:\(\w+:\))?|\b\w+\.\w+(?:\(\w+:\))?")
_NAME = re.compile(r"\b[A-Za-z_]\w*\b")
_KINDS = {"Standard", "Scalar", "Object", "Interface", "Union", "Enum", "Input"}
_UNRELEASED = re.compile(
    r"^## \[?unreleased\]?.*?$(.*?)(?=^## |\Z)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)


def check(printed: str, against: str | None = None) -> list[str]:
    """What is wrong with the contract, and how to mend it; raises ValueError for an `against` that is nothing."""
    problems = []
    if difference := drift(printed):
        problems.append(f"{difference}\n{SCHEMA_FILE} is not what the code prints; {REPRINT}")
    if (released := released_schema(against)) is not None:
        old, name = released
        log = CHANGELOG.read_text(encoding="utf-8") if CHANGELOG.exists() else ""
        problems += [
            f"{change} Clients of {name} may break: name it under Unreleased in {CHANGELOG}, or undo it"
            for change in unnamed(breaking_changes(old, printed), log)
        ]
    return problems


def drift(printed: str, file: Path = SCHEMA_FILE) -> str:
    """What differs between the printed schema and the file, as a diff of 40 lines at most; "" when nothing does."""
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = list(
        difflib.unified_diff(
            kept.splitlines(), printed.splitlines(), str(file), "the code", lineterm=""
        )
    )
    more = [f"... and {len(lines) - _DIFF_LINES} lines more"] if len(lines) > _DIFF_LINES else []
    return "\n".join(lines[:_DIFF_LINES] + more)


def breaking_changes(old: str, new: str) -> list[str]:
    """What a client of the `old` schema may miss or misread in the `new` one, sorted."""
    found = find_breaking_changes(build_schema(old), build_schema(new))
    return sorted(change.description for change in found)


def unnamed(changes: list[str], changelog: str) -> list[str]:
    """Those changes whose subject (`Type.field`, `Type.field(argument:)`, `Type`) "Unreleased" does not name."""
    section = _UNRELEASED.search(changelog)
    text = section[1] if section else ""
    return [change for change in changes if not _names(text, _subjects(change))]


def released_schema(against: str | None = None) -> tuple[str, str] | None:
    """The schema to compare with, and its name: a file, a git revision, else the newest `v*` tag that has one."""
    if against is not None:
        if Path(against).is_file():
            return Path(against).read_text(encoding="utf-8"), against
        text = _git("show", "--end-of-options", f"{against}:{SCHEMA_FILE}")
        if text is None:
            raise ValueError(f"{against} is neither a file nor a git revision with {SCHEMA_FILE}")
        return text, against
    tag = (_git("describe", "--tags", "--abbrev=0", "--match", "v*") or "").strip()
    text = _git("show", "--end-of-options", f"{tag}:{SCHEMA_FILE}") if tag else None
    return None if text is None else (text, tag)


def _subjects(change: str) -> list[str]:
    coordinates = _COORDINATE.findall(change)
    if coordinates:
        return coordinates[:1]
    return [word for word in _NAME.findall(change) if word[0].isupper() and word not in _KINDS]


def _names(text: str, subjects: list[str]) -> bool:
    return all(re.search(rf"(?<![\w.]){re.escape(subject)}(?![\w(])", text) for subject in subjects)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and no revision passes for an option
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            encoding="utf-8",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
