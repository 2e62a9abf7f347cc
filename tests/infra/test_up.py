"""The README's first command, as a process: it serves, says plainly why it cannot, drains, and survives being killed."""

import asyncio
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

from tests.documents import ROOT, examples
from tests.signing_in import signed_in

PENSTOCK = str(Path(sys.executable).parent / "penstock")
READY = re.compile(r"Penstock is ready: http://(127\.0\.0\.1:\d+)/graphql")
READY_SECONDS = 60


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return kept | {"PENSTOCK_LOG_FORMAT": "structured"}


@contextmanager
def running(directory: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`penstock up` on a data directory, ready to serve, and its address."""
    log = directory / f"up-{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [PENSTOCK, "up", "--port", "0", "--data-dir", str(directory / "data"), *options],
            stdout=stream,
            stderr=stream,
            env=environment(),
            cwd=directory,
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while (ready := READY.search(log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process, f"http://{ready[1]}"
    finally:
        process.kill()
        process.wait()


def credential(directory: Path) -> dict[str, str]:
    """What the user of the data directory shows: the demo's, while there is one."""
    return {"authorization": f"Bearer {asyncio.run(signed_in(directory / 'data', {}))}"}


def asked(address: str, query: str, headers: dict[str, str]) -> dict[str, object]:
    answer = httpx.post(f"{address}/graphql", json={"query": query}, headers=headers, timeout=20)
    result: dict[str, object] = answer.json()
    assert "errors" not in result, result
    assert isinstance(result["data"], dict)
    return result["data"]


def first_batch(address: str, subscription: str, headers: dict[str, str]) -> dict[str, object]:
    """The first event that holds messages."""
    with httpx.stream(
        "POST",
        f"{address}/graphql",
        json={"query": subscription},
        headers={"accept": "text/event-stream"} | headers,
        timeout=30,
    ) as events:
        for line in events.iter_lines():
            if line.startswith("data: {"):
                payload = json.loads(line.removeprefix("data: "))
                assert "errors" not in payload, payload
                event: dict[str, object] = payload["data"]["messages"]
                if event.get("messages"):
                    return event
    raise AssertionError("the stream ended without a message")


def refused(directory: Path, *options: str) -> str:
    """What a `penstock up` that cannot run says."""
    done = subprocess.run(
        [PENSTOCK, "up", *options],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=directory,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    said = [line for line in done.stderr.splitlines() if not line.startswith("time=")]
    assert len(said) == 1, done.stderr
    return said[0]


def test_a_spoilt_key_file_is_no_bug(place: Path) -> None:
    (place / "data").mkdir()
    key = place / "data" / "encryption.key"
    key.write_text("spoilt")
    key.chmod(0o600)
    said = refused(place, "--port", "0", "--data-dir", str(place / "data"))
    assert said.endswith("encryption.key: an encryption key must be base64")


def test_the_demo_runs_the_readme_and_drains_on_a_signal(place: Path) -> None:
    query, subscription = examples(ROOT / "README.md")
    with running(place, "--demo") as (process, address):
        headers = credential(place)
        assert first_batch(address, subscription.text, headers)["cursor"]
        assert asked(address, query.text, headers)["messages"]["edges"]  # type: ignore[index]
        assert httpx.get(f"{address}/readyz", timeout=10).status_code == 200

        port = address.rpartition(":")[2]
        again = refused(place, "--port", port, "--data-dir", str(place / "data"))
        assert f"is in use by process {process.pid}; stop it" in again
        beside = refused(place, "--port", port, "--data-dir", str(place / "other"))
        assert f"127.0.0.1:{port} is in use by another process; stop it" in beside

        (place / "file").touch()
        amiss = refused(place, "--port", "0", "--data-dir", str(place / "file"))
        assert "cannot be the data directory (File exists); choose another" in amiss

        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        assert time.monotonic() - started < 10


def test_a_killed_one_starts_again_without_help_and_has_what_it_stored(place: Path) -> None:
    query = "{ messages(first: 1, order: OLDEST_FIRST) { edges { node { id } } } }"
    _, subscription = examples(ROOT / "README.md")
    with running(place, "--demo") as (process, address):
        headers = credential(place)
        first_batch(address, subscription.text, headers)
        before = asked(address, query, headers)
        process.kill()
    with running(place) as (_, address):
        assert asked(address, query, headers) == before


def test_serve_does_not_migrate_and_says_so(tmp_path: Path, empty_database_url: str) -> None:
    done = subprocess.run(
        [PENSTOCK, "serve", "--port", "0"],
        capture_output=True,
        text=True,
        env=environment()
        | {
            "PENSTOCK_DATABASE_URL": empty_database_url,
            "PENSTOCK_ENCRYPTION_KEYS": "A" * 43 + "=",
        },
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "pending; apply with `penstock migrate up`" in done.stderr
    assert "Traceback" not in done.stderr
