"""The command line as people and init systems meet it: real processes, unless it is only about words."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from infra.cli import app
from infra.replay.faults import Corruption, Fault, FaultKind, Transport
from infra.replaying import read_fault

PENSTOCK = str(Path(sys.executable).parent / "penstock")
COMMANDS = [
    ["up"], ["serve"], ["ingest"], ["replay"], ["doctor"], ["version"],
    ["migrate", "up"], ["migrate", "down"], ["migrate", "status"],
    ["schema", "print"], ["schema", "check"], ["token"],
    ["user", "add"], ["user", "list"], ["user", "deactivate"], ["user", "reset-password"],
    ["audit", "verify"],
    ["keys", "generate"], ["keys", "status"], ["keys", "rotate"],
]  # fmt: skip


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return {**kept, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb", **variables}


def penstock(
    *arguments: str, directory: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PENSTOCK, *arguments],
        capture_output=True,
        text=True,
        env=environment(**variables),
        cwd=directory,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize(
    "command", [[], ["keys"], ["migrate"], ["schema"], ["user"], *COMMANDS], ids=" ".join
)
def test_every_command_helps_with_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    example = re.search(r"(?:Example|Begin with): (?:\w+=\S+ )?(penstock.*)", result.output)
    assert example is not None
    assert example[1].split()[1 : 1 + len(command)] == command or not command


def test_help_loads_none_of_the_machinery() -> None:
    program = (
        "import sys\nfrom infra.cli import app\n"
        "heavy = {'asyncpg', 'sqlalchemy', 'strawberry', 'pydantic', 'alembic', 'httpx', 'loguru',"
        " 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_all_problems_with_the_settings_are_told_at_once_without_secrets(tmp_path: Path) -> None:
    done = penstock(
        "migrate",
        "status",
        directory=tmp_path,
        PENSTOCK_PORT="x",
        PENSTOCK_DATABASE_URL="mysql://u:hunter2-hunter2@h",
        PENSTOCK_RETENTION_DAYS="0",
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "penstock: these settings cannot be used:"
    assert len(done.stderr.splitlines()) == 4
    assert "PENSTOCK_PORT (or --port): must be a valid integer" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_misspelt_variable_is_warned_about(tmp_path: Path, database_url: str) -> None:
    done = penstock(
        "migrate",
        "status",
        directory=tmp_path,
        PENSTOCK_DATABASE_URL=database_url,
        PENSTOCK_BACTH_ROWS="1",
    )
    assert done.returncode == 0
    assert "did you mean PENSTOCK_BATCH_ROWS?" in done.stderr


def test_migrations_go_forward_and_back(tmp_path: Path, empty_database_url: str) -> None:
    def migrate(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = penstock(
            "migrate", *arguments, directory=tmp_path, PENSTOCK_DATABASE_URL=empty_database_url
        )
        assert done.returncode == 0, done.stderr
        return done

    assert migrate("up").stdout.startswith("from none to ")
    assert migrate("up").stdout.endswith("nothing to do\n")
    assert migrate("down", "--to", "base", "--yes").stdout.endswith(" to none\n")
    status = migrate("status").stdout
    assert "current: none" in status
    assert "pending: none" not in status


def test_going_back_asks_first(tmp_path: Path, database_url: str) -> None:
    done = subprocess.run(
        [PENSTOCK, "migrate", "down"],
        input="n\n",
        capture_output=True,
        text=True,
        env=environment(PENSTOCK_DATABASE_URL=database_url),
        cwd=tmp_path,
        timeout=90,
        check=False,
    )
    assert done.returncode == 1
    assert "with their data. Go on?" in done.stdout
    status = penstock(
        "migrate", "status", directory=tmp_path, PENSTOCK_DATABASE_URL=database_url
    ).stdout
    assert "current: none" not in status


@pytest.mark.parametrize(
    ("arguments", "url", "told"),
    [
        (["up"], "postgresql://u:hunter2-hunter2@127.0.0.1:1/x", "the database cannot be reached"),
        (["up", "--to", "nowhere"], None, "see `penstock migrate status`"),
        (["down", "--yes", "--to", "nowhere"], None, "see `penstock migrate status`"),
    ],
)
def test_what_cannot_be_migrated_is_one_line_and_no_traceback(
    tmp_path: Path, database_url: str, arguments: list[str], url: str | None, told: str
) -> None:
    done = penstock(
        "migrate", *arguments, directory=tmp_path, PENSTOCK_DATABASE_URL=url or database_url
    )
    assert done.returncode == 3
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
    assert done.stderr.count("penstock:") == 1


def test_migrating_without_a_database_uses_the_embedded_one(place: Path) -> None:
    done = penstock("migrate", "up", "--data-dir", str(place / "data"), directory=place)
    assert done.returncode == 0, done.stderr
    assert (place / "data" / "postgres" / "PG_VERSION").exists()


def test_the_doctor_tells_machines_and_sets_the_exit_code(
    tmp_path: Path, empty_database_url: str
) -> None:
    well = penstock("doctor", "--json", "--port", "0", directory=tmp_path)
    assert well.returncode == 0, well.stdout
    assert {item["state"] for item in json.loads(well.stdout)} <= {"ok", "warn"}
    ill = penstock("doctor", directory=tmp_path, PENSTOCK_DATABASE_URL=empty_database_url)
    assert ill.returncode == 1
    assert "fail  migrations: pending: " in ill.stdout
    assert "      mend: penstock migrate up" in ill.stdout


def test_the_version_is_the_package_s() -> None:
    done = penstock("version")
    assert done.returncode == 0
    assert re.match(r"penstock \d+\.\d+\.\d+ on Python 3\.\d+", done.stdout)


@contextmanager
def replaying(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [PENSTOCK, "replay", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def test_the_replayer_answers_and_stops_on_a_signal() -> None:
    with replaying("--venue", "binance", "--fault", "status:status=503,transport=rest") as (
        process,
        line,
    ):
        address = re.search(r"127\.0\.0\.1:\d+", line)
        assert address is not None, line
        answer = httpx.get(f"http://{address[0]}/api/v3/ticker/price?symbol=BTCUSDT", timeout=10)
        assert answer.status_code in {404, 503}
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
        assert time.monotonic() - started < 10


def test_faults_are_read_as_they_are_written() -> None:
    assert read_fault("silence") == Fault(FaultKind.SILENCE)
    assert read_fault("status:status=500,venue=okx,transport=rest,count=3") == Fault(
        FaultKind.STATUS, venue="okx", transport=Transport.REST, status=500, count=3
    )
    assert read_fault("corrupt:corruption=nan,probability=0.5") == Fault(
        FaultKind.CORRUPT, corruption=Corruption.NAN, probability=0.5
    )


@pytest.mark.parametrize(
    "text", ["", "explode", "slow", "status:code=1", "status:status=x", "corrupt:corruption=what"]
)
def test_a_fault_that_is_none_is_a_wrong_parameter(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_fault(text)
