import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from infra.postgres.data_directory import DataDirectoryInUse
from infra.postgres.embedded import CannotStart, EmbeddedPostgres

ROOT = Path(__file__).parents[3]
NOBODY = 65534
QUICK = {"fsync": "off", "shared_buffers": "16MB"}
OWNER = """
import asyncio, signal, sys
from pathlib import Path
from infra.postgres.embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off", "shared_buffers": "16MB"})
    await server.start()
    print(server.pid, flush=True)
    if sys.argv[2] == "wait":
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other accounts can pass through, which pytest's own keeps closing."""
    place = Path(tempfile.mkdtemp(prefix="penstock-place-"))
    yield place
    shutil.rmtree(place)


@pytest.fixture
def data_dir(place: Path) -> Path:
    return place / "data"


def embedded(data_dir: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, settings=QUICK)


async def value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owned_by(path: Path) -> int:
    return path.stat().st_uid


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def owner(data_dir: Path, then: str = "wait") -> tuple["subprocess.Popen[str]", int]:
    """Another process that starts the server; the process and the server's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir), then],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate(timeout=10)[1]
    return process, int(line)


async def test_a_fresh_directory_becomes_a_database_that_keeps_what_is_written(
    data_dir: Path,
) -> None:
    async with embedded(data_dir) as server:
        assert await value(server.url, "select current_database()") == "penstock"
        assert await value(server.url, "show synchronous_commit") == "on"
        assert await value(server.url, "show listen_addresses") == ""
        await value(server.url, "create table kept as select 42 as answer")
    assert server.pid is None
    async with embedded(data_dir) as server:
        assert await value(server.url, "select answer from kept") == 42


async def test_stopping_leaves_no_process_and_can_be_repeated(data_dir: Path) -> None:
    server = embedded(data_dir)
    await server.start()
    pid = server.pid
    assert pid is not None
    await server.stop()
    assert not is_alive(pid)
    await server.stop()
    with pytest.raises(RuntimeError):
        _ = server.url


async def test_others_cannot_read_the_data(data_dir: Path) -> None:
    async with embedded(data_dir) as server:
        assert mode(data_dir) & 0o066 == 0
        assert mode(server.cluster) == 0o700
        assert mode(server.log) == 0o600
        assert stat.S_IMODE((data_dir / "penstock.pid").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name",
    ["with space 'quote' \"double\"", "ünï-%41-$HOME,comma:colon", "/".join(["deep" * 10] * 6)],
)
async def test_odd_and_long_paths_work(place: Path, name: str) -> None:
    server = embedded(place / name)
    async with server:
        assert await value(server.url, "select 1") == 1
        sockets = server._sockets
        assert sockets is not None
        assert sockets != server.cluster
        await server.restart()
        assert await value(server.url, "select 1") == 1
    assert not sockets.exists()


async def test_relative_paths_mean_the_same_wherever_the_process_goes(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    server = embedded(Path("here"))
    monkeypatch.chdir("/")
    async with server:
        assert (place / "here" / "postgres" / "PG_VERSION").exists()


async def test_a_second_server_on_the_same_directory_names_the_first(data_dir: Path) -> None:
    async with embedded(data_dir) as server:
        with pytest.raises(DataDirectoryInUse) as caught:
            await embedded(data_dir).start()
        assert caught.value.pid == os.getpid()
        assert str(os.getpid()) in str(caught.value)
        with pytest.raises(DataDirectoryInUse):
            await server.start()
        assert await value(server.url, "select 1") == 1


async def test_another_process_on_the_same_directory_is_named(data_dir: Path) -> None:
    process, pid = await asyncio.to_thread(owner, data_dir)
    try:
        with pytest.raises(DataDirectoryInUse) as caught:
            await embedded(data_dir).start()
        assert caught.value.pid == process.pid
        assert is_alive(pid)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert await gone(pid)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
async def test_no_server_outlives_a_signalled_process_and_the_next_starts(
    data_dir: Path, how: signal.Signals
) -> None:
    process, pid = await asyncio.to_thread(owner, data_dir)
    process.send_signal(how)
    process.communicate(timeout=20)
    async with embedded(data_dir) as server:
        assert await value(server.url, "select 1") == 1
        assert await gone(pid)


async def test_no_server_outlives_a_process_that_forgets_to_stop_it(data_dir: Path) -> None:
    process, pid = await asyncio.to_thread(owner, data_dir, "exit")
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert await gone(pid)


async def test_a_server_left_running_is_stopped_before_the_next_starts(data_dir: Path) -> None:
    """As when the machine kills the process and what watches over it together."""
    server = embedded(data_dir)
    await server.start()
    left, watcher = server._server, server._watcher
    assert left is not None
    assert watcher is not None
    watcher.kill()
    watcher.communicate()
    server._server = server._watcher = None
    await server.stop()
    assert is_alive(left.pid)
    async with embedded(data_dir) as following:
        assert await value(following.url, "select 1") == 1
        assert left.wait(10) == 0
        assert following.pid != left.pid


async def test_a_stale_pid_file_that_names_a_stranger_hinders_nobody(data_dir: Path) -> None:
    async with embedded(data_dir):
        pass
    stranger = await asyncio.create_subprocess_exec("/bin/sleep", "60")
    try:
        stale = (
            f"{stranger.pid}\n{data_dir}/postgres\n1700000000\n5432\n{data_dir}\n\n123 456\nready\n"
        )
        for text in (stale, "", "nonsense\n"):
            (data_dir / "postgres" / "postmaster.pid").write_text(text)
            async with embedded(data_dir) as server:
                assert await value(server.url, "select 1") == 1
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_start_killed_half_way_does_not_spoil_the_next(data_dir: Path) -> None:
    (data_dir / "postgres.new" / "base").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    async with embedded(data_dir) as server:
        assert await value(server.url, "select 1") == 1
    assert not (data_dir / "postgres.new").exists()


async def test_a_directory_of_something_else_is_left_alone(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "letter.txt").write_text("dear")
    with pytest.raises(CannotStart, match="not empty"):
        await embedded(data_dir).start()
    assert (data_dir / "postgres" / "letter.txt").read_text() == "dear"


async def test_a_cluster_of_another_version_is_refused_with_both_versions(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(CannotStart, match=r"PostgreSQL 16.*PostgreSQL 18"):
        await embedded(data_dir).start()


async def test_a_start_that_fails_says_why_and_frees_the_directory(data_dir: Path) -> None:
    broken = EmbeddedPostgres(data_dir, settings={"shared_buffers": "nonsense"})
    with pytest.raises(CannotStart, match="shared_buffers"):
        await broken.start()
    async with embedded(data_dir) as server:
        assert await value(server.url, "select 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_an_ordinary_user_runs_it_as_itself(place: Path) -> None:
    os.chown(place, NOBODY, NOBODY)
    # What is imported late must be in already: the interpreter's files may be root's alone.
    become = (
        "import concurrent.futures.thread, encodings.idna, getpass, os, ssl\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n\nasync def main"
    )
    outcome = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-c",
            OWNER.replace("async def main", become),
            str(place / "data"),
            "exit",
        ],
        cwd=ROOT,
        env={**os.environ, "HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert owned_by(place / "data" / "postgres") == NOBODY
    assert mode(place / "data") == 0o700


async def test_a_restart_keeps_the_url(data_dir: Path) -> None:
    async with embedded(data_dir) as server:
        before, pid = server.url, server.pid
        await server.restart()
        assert server.url == before
        assert server.pid != pid
        assert await value(before, "select 1") == 1
