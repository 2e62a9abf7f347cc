"""Encryption keys as texts, and the file of a data directory that holds them, newest first."""

import base64
import binascii
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.security.vault import KEY_BYTES

KEY_FILE = "encryption.key"


def new_key() -> str:
    """A fresh key as `PENSTOCK_ENCRYPTION_KEYS` takes it: base64 of 32 random bytes."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_key(text: str) -> bytes:
    """A key from base64 (standard or URL-safe); raises ValueError that never quotes the text."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("an encryption key must be base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"an encryption key must be {KEY_BYTES} bytes of base64, not {len(key)}")
    return key


class KeyFile:
    """The keys of a data directory, one a line, newest first; read again whenever the file is another.

    So a process that runs while a key is added opens what others sealed with it, and seals with it too.
    """

    def __init__(self, directory: Path) -> None:
        """Read the keys, making the first one; raises OSError, ValueError."""
        self.path = directory / KEY_FILE
        self._seen: tuple[int, int, int] | None = None
        self._keys: Sequence[bytes] = ()
        if not self.path.exists():
            self._make()
        self()

    def __repr__(self) -> str:
        return f"KeyFile({self.path})"

    def __call__(self) -> Sequence[bytes]:
        """The keys as the file has them now; those known before when it cannot be read any more.

        Raises PermissionError when others may touch the file, ValueError when it holds no keys.
        """
        try:
            found = self.path.stat()
        except OSError:
            if self._keys:
                return self._keys
            raise
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            try:
                self._keys = self._read()
            except (OSError, ValueError):
                if not self._keys:
                    raise
            self._seen = seen
        return self._keys

    def add(self) -> None:
        """Put a fresh key before the others, the file replaced in one step; every process uses it from then on."""
        with self._locked():
            keys = [base64.b64encode(key).decode() for key in self._read()]
            draft = self._draft([new_key(), *keys])
            try:
                owner = self.path.stat()
                if (
                    os.geteuid() == 0
                ):  # an operator as root must not take the file from the service's user
                    os.chown(draft, owner.st_uid, owner.st_gid)
                draft.replace(self.path)
                self._settle()
            finally:
                draft.unlink(missing_ok=True)

    def _read(self) -> Sequence[bytes]:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor) as file:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if mode & 0o077:
                raise PermissionError(
                    f"{self.path} can be read by others (mode {mode:04o}): run chmod 600 {self.path}"
                )
            try:
                keys = tuple(read_key(line) for line in file.read().splitlines() if line.strip())
            except ValueError as error:
                raise ValueError(f"{self.path}: {error}") from None
        if not keys:
            raise ValueError(f"{self.path} holds no key")
        return keys

    def _make(self) -> None:
        """Write a first key beside its place and link it in whole: a crash or a rival leaves one good file."""
        draft = self._draft([new_key()])
        try:
            os.link(draft, self.path)
            self._settle()
        except FileExistsError:
            return
        finally:
            draft.unlink(missing_ok=True)

    def _draft(self, keys: Sequence[str]) -> Path:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o600), "w") as file:
            file.write("".join(key + "\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        return draft

    def _settle(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among those who add keys: two at once would each write a file without the other's key."""
        directory = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        finally:
            os.close(directory)
