"""What the file postmaster.pid of a cluster says of its server, and how far to believe it."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

STOP_TIMEOUT_SECONDS = 8.0


def end_leftover(cluster: Path) -> None:
    """Stop the server of a process that was killed, and clear what it left; we hold the directory's lock."""
    file = cluster / "postmaster.pid"
    try:
        pid = int(file.read_text().split("\n", 1)[0])
    except FileNotFoundError:
        return
    except ValueError:
        pid = 0
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if not serves(pid, cluster):
            break
        with suppress(ProcessLookupError):
            os.kill(pid, how)
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while serves(pid, cluster) and time.monotonic() < deadline:
            time.sleep(0.02)
    # The number may by now belong to a process that is no PostgreSQL, which PostgreSQL could not tell.
    file.unlink(missing_ok=True)


def serves(pid: int, cluster: Path) -> bool:
    """Whether a process is alive and is this cluster's server, not another that got its number."""
    if pid <= 0:
        return False
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cwd").samefile(cluster)
        except OSError:
            return False
    listing = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False, timeout=10
    )
    return os.fsencode(cluster) in listing.stdout


def is_ready(cluster: Path, pid: int) -> bool:
    """Whether this process has said that it accepts connections."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def ready_at(cluster: Path) -> Path | None:
    """The directory of the sockets of a server that runs in this cluster and accepts connections."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        pid, sockets, state = int(lines[0]), lines[4], lines[7].strip()
    except (OSError, IndexError, ValueError):
        return None
    return Path(sockets) if state == "ready" and serves(pid, cluster) else None
