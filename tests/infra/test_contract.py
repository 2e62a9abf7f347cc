import subprocess
from pathlib import Path

import pytest

from infra.contract import breaking_changes, check, drift, released_schema, unnamed

OLD = """
type Query { price(at: Int): Int name: String side: Side thing: Thing }
enum Side { BUY SELL }
union Thing = A | B
type A { x: Int }
type B { x: Int }
"""
NEW = """
type Query { price(at: String): Int side: Side thing: Thing }
enum Side { BUY }
union Thing = A
type A { x: Int y: Int }
type B { x: Int }
"""


def test_the_same_or_a_wider_schema_breaks_nobody() -> None:
    assert breaking_changes(OLD, OLD) == []
    assert breaking_changes(OLD, OLD.replace("name: String", "name: String more: Int")) == []


def test_every_breaking_change_must_be_named() -> None:
    changes = breaking_changes(OLD, NEW)
    assert len(changes) == 4
    assert unnamed(changes, "# Changelog\n\n## [Unreleased]\n\n- nothing\n\n## [1.0]\n") == changes
    log = (
        "# Changelog\n\n## [Unreleased]\n\n- **Breaking**: `Query.name` is gone; `Query.price(at:)` is text;\n"
        "  `Side.SELL` went; `Thing` holds no `B` any more.\n\n## [1.0.0]\n"
    )
    assert unnamed(changes, log) == []


def test_a_name_counts_only_whole_and_only_under_unreleased() -> None:
    changes = ["Field Query.name was removed."]
    assert unnamed(changes, "## Unreleased\n- `Query.names`, `MyQuery.name`\n") == changes
    assert unnamed(changes, "## Unreleased\n\n## 1.0\n- `Query.name`\n") == changes
    assert unnamed(changes, "## 1.0\n- `Query.name`\n") == changes
    assert unnamed(changes, "## 1.0\n\n## Unreleased\n- `Query.name` left\n") == []


def test_an_argument_is_not_named_by_its_field_nor_a_field_by_its_argument() -> None:
    argument, field = "Argument Query.price(at:) was removed.", "Field Query.price was removed."
    assert unnamed([argument], "## Unreleased\n- `Query.price`\n") == [argument]
    assert unnamed([field], "## Unreleased\n- `Query.price(at:)`\n") == [field]


def test_drift_shows_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "schema.graphql"
    assert "+type Query" in drift("type Query\n", file)
    file.write_text("type Query\n")
    assert drift("type Query\n", file) == ""
    assert len(drift("x\n" * 500, file).splitlines()) == 41


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git("init", "-q", "-b", "main")
    (tmp_path / "schema.graphql").write_text(OLD)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    git("add", ".")
    git("-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "first")
    return tmp_path


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, timeout=30)


def test_a_breaking_change_since_the_last_release_fails_until_it_is_named(repository: Path) -> None:
    git("tag", "v1.0.0")
    (repository / "schema.graphql").write_text(NEW)
    problems = check(NEW)
    assert len(problems) == 4
    assert "Clients of v1.0.0 may break" in problems[0]
    (repository / "CHANGELOG.md").write_text(
        "## Unreleased\n`Query.name` `Query.price(at:)` `Side.SELL` `Thing` `B`\n"
    )
    assert check(NEW) == []


def test_without_a_release_only_the_file_is_compared(repository: Path) -> None:
    assert check(OLD) == []
    [problem] = check(NEW)
    assert "penstock schema print > schema.graphql" in problem


def test_any_revision_or_file_can_be_compared_with(repository: Path) -> None:
    assert released_schema("HEAD") == (OLD, "HEAD")
    (repository / "other.graphql").write_text(NEW)
    assert released_schema("other.graphql") == (NEW, "other.graphql")
    for nothing in ("nowhere", "--help", "-p"):
        with pytest.raises(ValueError, match="neither a file nor a git revision"):
            released_schema(nothing)
