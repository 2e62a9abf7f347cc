"""The data directory belongs to one process at a time, which holds a lock on a file in it."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

LOCK_NAME = "penstock.pid"


class DataDirectoryInUse(Exception):
    """Another process runs the server of this data directory."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{data_dir} is in use by {who}; stop it or choose another data directory")
        self.data_dir = data_dir
        self.pid = pid


def lock(data_dir: Path) -> int:
    """Hold the directory for the life of this process; the file says who does. Raises DataDirectoryInUse, OSError."""
    descriptor = os.open(data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).strip()
        os.close(descriptor)
        raise DataDirectoryInUse(data_dir, int(text) if text.isdigit() else None) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def require_free(data_dir: Path) -> None:
    """Pass when no process runs the server of this data directory; raises DataDirectoryInUse."""
    place = Path(data_dir).expanduser().absolute()
    if (place / LOCK_NAME).exists():
        with suppress(OSError):  # what is wrong with the directory is told when it is used
            os.close(lock(place))
