"""Password hashes: Argon2id for new ones; those of older systems verify, and give way to it."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import bcrypt
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers import HasherProtocol
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

T = TypeVar("T")

THREADS: Final = 4
WAIT_SECONDS: Final = 20.0
_BCRYPT_BYTES: Final = 72
_DJANGO: Final = re.compile(r"pbkdf2_sha256\$(\d{1,8})\$([^$]+)\$([A-Za-z0-9+/=]+)")
_PASSLIB: Final = re.compile(r"\$pbkdf2-sha256\$(\d{1,8})\$([A-Za-z0-9./]*)\$([A-Za-z0-9./]+)")


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What an Argon2id hash costs: OWASP's recommendation of 2026 (19 MiB, 2 rounds, 1 lane)."""

    memory_kib: int = 19_456
    rounds: int = 2
    lanes: int = 1


class Pbkdf2Hasher:
    """PBKDF2-HMAC-SHA256 as Django and passlib wrote it; only ever read."""

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:
        """Whether it is of this kind."""
        return _pbkdf2(_text(hash)) is not None

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Never: new hashes are Argon2id."""
        raise NotImplementedError

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Whether it is the password."""
        parts = _pbkdf2(_text(hash))
        if parts is None:
            return False
        rounds, salt, expected = parts
        given = password.encode() if isinstance(password, str) else password
        derived = hashlib.pbkdf2_hmac("sha256", given, salt, rounds, len(expected))
        return hmac.compare_digest(derived, expected)

    def check_needs_rehash(self, hash: str | bytes) -> bool:
        """Always."""
        return True


class OldBcryptHasher(BcryptHasher):
    """bcrypt as older libraries had it: what is past 72 bytes does not count."""

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:
        """Whether it is the password."""
        given = password.encode() if isinstance(password, str) else password
        return bcrypt.checkpw(given[:_BCRYPT_BYTES], _text(hash).encode())


class PasswordHashes:
    """Implements `domain.identity.PasswordHasher` in a few threads of its own; `close` ends them."""

    def __init__(self, cost: Argon2Cost | None = None, threads: int = THREADS) -> None:
        cost = cost or Argon2Cost()
        hashers: list[HasherProtocol] = [
            Argon2Hasher(
                time_cost=cost.rounds, memory_cost=cost.memory_kib, parallelism=cost.lanes
            ),
            OldBcryptHasher(),
            Pbkdf2Hasher(),
        ]
        self._hashes = PasswordHash(hashers)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        # Made beforehand: the first unknown user must not take longer than the next.
        self._nobodys = self._threads.submit(self._hashes.hash, secrets.token_urlsafe(32))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Argon2id with a fresh salt; raises TimeoutError when the threads are busy for too long."""
        return await self._work(lambda: self._hashes.hash(password))

    async def verify(self, password: str, hash: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a better hash where this one is of a weaker kind.

        Without a hash the same work is done on one that nobody knows the password of.
        """
        return await self._work(lambda: self._verified(password, hash))

    def _verified(self, password: str, hash: str | None) -> tuple[bool, str | None]:
        if hash is None:
            self._hashes.verify(password, self._nobodys.result())
            return False, None
        try:
            return self._hashes.verify_and_update(password, hash)
        except UnknownHashError:
            self._hashes.verify(password, self._nobodys.result())
            return False, None

    async def _work(self, work: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        return await asyncio.wait_for(running, WAIT_SECONDS)


def _pbkdf2(hash: str) -> tuple[int, bytes, bytes] | None:
    """Rounds, salt and key; None for anything else."""
    try:
        if django := _DJANGO.fullmatch(hash):
            rounds, salt, key = django.groups()
            return int(rounds), salt.encode(), base64.b64decode(key, validate=True)
        if passlib := _PASSLIB.fullmatch(hash):
            rounds, salt, key = passlib.groups()
            return int(rounds), _adapted(salt), _adapted(key)
    except (binascii.Error, ValueError):
        return None
    return None


def _adapted(text: str) -> bytes:
    """Passlib's base64: `.` for `+`, without padding."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


def _text(hash: str | bytes) -> str:
    return hash.decode() if isinstance(hash, bytes) else hash
