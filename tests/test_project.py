"""What the repository says of itself: its pages, its lists, its recipes for building and deploying."""

import re
import subprocess
import tomllib
import zoneinfo
from fnmatch import fnmatch
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from graphql import build_schema, parse, validate
from typer.testing import CliRunner

from infra.cli import app
from infra.settings import Settings, variable
from tests.documents import PAGES, ROOT, Example, examples

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
VARIABLE = re.compile(r"\bPENSTOCK_[A-Z_]*[A-Z]\b")


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return found


@pytest.mark.parametrize("example", examples(), ids=str)
def test_every_document_in_the_docs_is_valid(example: Example) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())
    assert validate(schema, parse(example.text)) == []


def test_the_readme_has_a_query_and_a_subscription() -> None:
    kinds = [example.text.split()[0] for example in examples(ROOT / "README.md")]
    assert kinds == ["query", "subscription"]


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Any) -> None:
    for target in LINK.findall(page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_in_the_docs_is_a_setting(page: Any) -> None:
    known = {variable(name) for name in Settings.model_fields}
    for name in VARIABLE.findall(page.read_text()):
        assert name in known or any(one.startswith(name) for one in known), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_docs_exists(page: Any) -> None:
    fences = re.findall(r"^    (.*)$|`(penstock [^`]*)`", page.read_text(), re.MULTILINE)
    for line in [indented or quoted for indented, quoted in fences]:
        for command in re.findall(r"\bpenstock ((?:[a-z][a-z-]* ?)+)((?:--?[a-z-]+)?)", line):
            words, option = command[0].split(), command[1]
            result = CliRunner().invoke(app, [*words[:2], "--help"], env={"COLUMNS": "300"})
            assert result.exit_code == 0, line
            assert option in result.output, line


def test_every_dependency_is_explained_and_no_other() -> None:
    project = pyproject()
    text = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    declared = sorted(re.split(r"[\[<>=~!; ]", requirement)[0] for requirement in text)
    page = (ROOT / "docs" / "dependencies.md").read_text()
    explained = sorted(re.findall(r"^\| ([a-z][\w-]+) \| \S", page, re.MULTILINE))
    assert [name for name in explained if name != "package"] == declared


def test_time_zones_are_known_where_the_system_has_no_files_of_them() -> None:
    zoneinfo.reset_tzpath(to=())
    try:
        assert "Europe/Lisbon" in zoneinfo.available_timezones()
    finally:
        zoneinfo.reset_tzpath()


def test_the_picture_is_well_formed_and_needs_nothing_from_elsewhere() -> None:
    picture = ROOT / "docs" / "path-of-a-tick.svg"
    assert ET.parse(picture).getroot().tag.endswith("svg")
    assert "href" not in picture.read_text()


def copied() -> list[str]:
    sources = []
    for line in (ROOT / "Dockerfile").read_text().splitlines():
        words = line.split()
        if words[:1] == ["COPY"] and not any(word.startswith("--from") for word in words):
            sources += words[1:-1]
    return sources


def test_what_the_image_copies_exists_and_is_let_through() -> None:
    rules = (ROOT / ".dockerignore").read_text().split()
    assert rules[0] == "*"
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source.rstrip("/"), rule[1:]) for rule in rules if rule[0] == "!")
    packages = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) | {"pyproject.toml", "uv.lock"} <= {one.rstrip("/") for one in copied()}


def test_the_image_runs_as_a_user_and_checks_its_health() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER penstock" in lines
    assert any(line.startswith("HEALTHCHECK") for line in lines)
    check = (ROOT / "Dockerfile").read_text().split("CMD [", 1)[1].splitlines()[0]
    assert "/readyz" in check
    program = re.findall(r'"((?:[^"\\]|\\.)*)"', check)[2].replace('\\"', '"')
    compile(program, "healthcheck", "exec")


def test_variables_of_the_image_are_settings() -> None:
    text = (ROOT / "Dockerfile").read_text()
    known = {variable(name) for name in Settings.model_fields}
    assert set(VARIABLE.findall(text)) <= known


@pytest.mark.parametrize("service", ["migrate", "api", "ingest"])
def test_containers_run_commands_that_exist(service: str) -> None:
    command = services()[service]["command"]
    assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0


def test_every_service_has_a_health_check_and_the_api_waits_for_migrations() -> None:
    found = services()
    for name in ("postgres", "redis", "ingest"):
        assert "test" in found[name]["healthcheck"], name
    for name in ("api", "ingest"):
        waits = found[name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"
        assert waits["postgres"]["condition"] == "service_healthy"


def test_no_secret_is_written_into_the_repository_s_recipes() -> None:
    for name, service in services().items():
        for key in service.get("environment", {}):
            assert "PASSWORD" not in key, name
    ignored = subprocess.run(
        ["git", "check-ignore", "penstock.env", "postgres.env", ".env"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert len(ignored.stdout.split()) == 3


def test_the_checks_run_what_the_readme_says_first() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    steps = re.findall(r"^run (uv run .*)$", script, re.MULTILINE)
    assert steps[0] in (ROOT / "README.md").read_text()
    assert steps[0] == "uv run pytest"
    assert steps[-1] == "uv run penstock schema check"


def test_the_changelog_has_an_unreleased_section() -> None:
    assert re.search(r"^## \[Unreleased\]$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
