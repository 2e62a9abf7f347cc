"""The keys that access tokens are signed with: kept sealed in the database, shared by all processes, rotated."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from joserfc.jwk import KeyBase, OctKey, OKPKey
from loguru import logger
from sqlalchemy import func, or_
from sqlmodel import col, select

from domain.identity import SigningKey
from domain.ports import Clock, Database, Vault

REFRESH_AFTER = timedelta(minutes=1)
"""How long a process may sign with a key that another one retired."""
ASK_AGAIN_AFTER = timedelta(seconds=5)
"""How long the database is spared of questions for keys that nobody has."""
KEY_LIFETIME = timedelta(days=90)
"""How long a key signs before a new one takes its place by itself."""
_LOCK = 0x50656E53746B  # one starter at a time makes the first key


class TokenKeys(Protocol):
    """Keys of one algorithm."""

    algorithm: str

    async def start(self) -> None:
        """Have a key to sign with."""

    async def rotate(self) -> str | None:
        """Sign with a new key from now on and return its id; None where there is none to rotate."""

    async def current(self) -> tuple[str, KeyBase]:
        """The id and the key to sign with."""

    async def of(self, kid: str) -> KeyBase | None:
        """The key that verifies what this id signed."""

    async def public(self) -> Sequence[dict[str, Any]]:
        """The public keys, as JWKs."""


class SharedSecret:
    """HS256: one secret signs and verifies, nothing is published."""

    algorithm = "HS256"
    _KID = "shared"

    def __init__(self, secret: str) -> None:
        self._key = OctKey.import_key(secret.encode())

    async def start(self) -> None:
        """Nothing is needed."""

    async def rotate(self) -> str | None:
        """The secret is the operator's to change."""
        return None

    async def current(self) -> tuple[str, KeyBase]:
        """The secret."""
        return self._KID, self._key

    async def of(self, kid: str) -> KeyBase | None:
        """The secret, under its one name."""
        return self._key if kid == self._KID else None

    async def public(self) -> Sequence[dict[str, Any]]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class _Signer:
    """A key with its private half, and since when there is one."""

    kid: str
    key: OKPKey
    since: datetime


@dataclass(frozen=True, slots=True)
class _Ring:
    """The keys as last read: the one that signs, and all that verify with their ends."""

    signer: _Signer | None
    verifying: dict[str, tuple[OKPKey, datetime | None]]
    read_at: datetime


class KeyPairs:
    """EdDSA on Ed25519: the private half sealed by the vault, the public half published.

    A rotated key goes on verifying until the last token it may have signed has ended.
    """

    algorithm = "EdDSA"

    def __init__(
        self, database: Database, vault: Vault, clock: Clock, token_lifetime: timedelta
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._grace = token_lifetime + REFRESH_AFTER + timedelta(minutes=1)
        self._ring: _Ring | None = None
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        """Read the keys; make one when there is none that can be opened, or only an old one."""
        await self.current()

    async def rotate(self) -> str | None:
        """Make a new key to sign with; the old ones only verify from now on."""
        return await self._make(after=self._clock.now())

    async def current(self) -> tuple[str, KeyBase]:
        """The key to sign with, at most a minute behind what other processes did."""
        ring, too_old = await self._fresh(REFRESH_AFTER), self._clock.now() - KEY_LIFETIME
        if ring.signer is None or ring.signer.since <= too_old:
            await self._make(after=too_old)
            ring = await self._fresh(REFRESH_AFTER)
        if ring.signer is None:
            raise RuntimeError("there is no key to sign tokens with")
        return ring.signer.kid, ring.signer.key

    async def of(self, kid: str) -> KeyBase | None:
        """The key that verifies, at most a minute behind; an unknown one is looked for in the database, now and then."""
        ring = await self._fresh(REFRESH_AFTER)
        if kid not in ring.verifying:
            ring = await self._fresh(ASK_AGAIN_AFTER)
        key, expires_at = ring.verifying.get(kid, (None, None))
        return None if expires_at is not None and expires_at <= self._clock.now() else key

    async def public(self) -> Sequence[dict[str, Any]]:
        """The public halves of all keys whose tokens may still be good."""
        ring, now = await self._fresh(REFRESH_AFTER), self._clock.now()
        return [
            {**key.as_dict(private=False), "alg": self.algorithm, "use": "sig"}
            for key, expires_at in ring.verifying.values()
            if expires_at is None or expires_at > now
        ]

    async def _fresh(self, age: timedelta) -> _Ring:
        async with self._reading:
            ring = self._ring
            if ring is None or self._clock.now() - ring.read_at >= age:
                ring = await self._read()
            return ring

    async def _read(self) -> _Ring:
        now = self._clock.now()
        async with self._database.read() as session:
            rows = await session.exec(
                select(SigningKey)
                .where(
                    col(SigningKey.algorithm) == self.algorithm,
                    or_(col(SigningKey.expires_at).is_(None), col(SigningKey.expires_at) > now),
                )
                .order_by(col(SigningKey.created_at).desc(), col(SigningKey.id))
            )
            stored = rows.all()
        self._ring = _Ring(
            signer=next((signer for row in stored if (signer := self._opened(row))), None),
            verifying={row.id: (OKPKey.import_key(row.public), row.expires_at) for row in stored},
            read_at=now,
        )
        return self._ring

    def _opened(self, row: SigningKey) -> _Signer | None:
        if row.retired_at is not None:
            return None
        try:
            private = json.loads(self._vault.open(row.sealed, row.id.encode()))
        except ValueError as error:
            logger.warning("The signing key {} cannot be opened: {}", row.id, error)
            return None
        return _Signer(row.id, OKPKey.import_key(private), row.created_at)

    async def _make(self, *, after: datetime) -> str:
        """Have a key that was made after this time; its id."""
        now = self._clock.now()
        async with self._database.write() as session:
            await session.scalar(select(func.pg_advisory_xact_lock(_LOCK)))
            rows = await session.exec(
                select(SigningKey).where(
                    col(SigningKey.algorithm) == self.algorithm,
                    col(SigningKey.retired_at).is_(None),
                )
            )
            live = [row for row in rows if self._opened(row) is not None]
            young = [row for row in live if row.created_at > after]
            if young:  # another process was first
                kid = young[0].id
            else:
                for row in live:
                    row.retired_at, row.expires_at = now, now + self._grace
                new = self._drawn(now)
                session.add(new)
                kid = new.id
        await self._read()
        return kid

    def _drawn(self, now: datetime) -> SigningKey:
        key = OKPKey.generate_key("Ed25519", auto_kid=True)
        kid = str(key.kid)
        return SigningKey(
            id=kid,
            algorithm=self.algorithm,
            public=key.as_dict(private=False),
            sealed=self._vault.seal(json.dumps(key.as_dict(private=True)).encode(), kid.encode()),
            created_at=now,
        )
