"""Real processes, real signals: what they print, how fast they end, which code they return."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

PROGRAM = """
import asyncio, sys
from infra import logs, process, startup

logs.configure("INFO", "simple")

async def drains(stop):
    print("ready", flush=True)
    await stop.wait()
    print("drained", flush=True)

async def ignores_stop(stop):
    print("ready", flush=True)
    await asyncio.sleep(60)

async def refuses(stop):
    print("ready", flush=True)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def holds_the_loop(stop):
    print("ready", flush=True)
    while True:
        sum(range(1000))

async def address_taken(stop):
    first = startup.listen("127.0.0.1", 0)
    startup.listen(*first.getsockname())

async def address_taken_in_a_group(stop):
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(address_taken(stop))

async def no_database(stop):
    await startup.require_database("postgresql://user:hunter2-hunter2@127.0.0.1:1/x")

async def bug(stop):
    raise ValueError("connecting with password=hunter2-hunter2")

sys.exit(process.run(globals()[sys.argv[1]]))
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": "."}


@contextmanager
def running(main: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, main],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def outcome(main: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, main],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_well(number: signal.Signals) -> None:
    with running("drains") as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out == "drained\n"
    assert f"{number.name}: stopping" in err


def test_what_does_not_heed_the_stop_is_cut_off_within_ten_seconds() -> None:
    with running("ignores_stop") as process:
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert process.returncode == 1
    assert "Not drained after 7 s" in err


@pytest.mark.parametrize("main", ["refuses", "holds_the_loop"])
def test_what_refuses_to_end_is_ended_within_ten_seconds(main: str) -> None:
    with running(main) as process:
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    assert time.monotonic() - started < 10
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("main", ["ignores_stop", "holds_the_loop"])
def test_a_second_signal_ends_at_once(main: str) -> None:
    with running(main) as process:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    assert time.monotonic() - started < 3
    assert process.returncode == 128 + signal.SIGINT


@pytest.mark.parametrize(
    ("main", "told"),
    [
        ("address_taken", "is in use by another process; stop it or choose another with --port"),
        ("address_taken_in_a_group", "is in use by another process"),
        ("no_database", "the database cannot be reached"),
    ],
)
def test_what_an_operator_can_mend_is_one_line_without_traceback(main: str, told: str) -> None:
    ended = outcome(main)
    assert ended.returncode == 3
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr


def test_a_bug_is_logged_with_its_traceback_and_without_secrets() -> None:
    ended = outcome("bug")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert "ValueError" in ended.stderr
    assert "hunter2" not in ended.stderr
