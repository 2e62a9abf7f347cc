"""A door for tests: cheap hashes that are counted, tokens of a shared secret, mails kept in memory."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from domain.identity.door import Door, DoorRules
from domain.identity.ports import Mail
from domain.ports import Clock, Ids, Vault
from infra.security.authenticators import TotpAuthenticators
from infra.security.common_passwords import CommonPasswords
from infra.security.opaque import RandomTokens
from infra.security.passwords import Argon2Cost, PasswordHashes
from infra.security.signing_keys import SharedSecret
from infra.security.tokens import AccessTokens

CHEAP = PasswordHashes(Argon2Cost(memory_kib=8, rounds=1), threads=2)
SECRET = "a secret of more than 32 bytes for tests"


class CountedHashes:
    """Counts what is asked of it."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def hash(self, password: str) -> str:
        self.asked["hash"] += 1
        return await CHEAP.hash(password)

    async def verify(self, password: str, hash: str | None) -> tuple[bool, str | None]:
        self.asked["verify"] += 1
        return await CHEAP.verify(password, hash)


class CountedPace:
    """Waits for nothing, and counts the answers that would have waited."""

    def __init__(self) -> None:
        self.evened = 0

    def begin(self) -> float:
        return 0.0

    async def even_out(self, begun: float) -> None:
        self.evened += 1


@dataclass
class Mailbox:
    """A post that delivers at once."""

    mails: list[Mail] = field(default_factory=list)

    def send(self, mail: Mail, request_id: str) -> None:
        self.mails.append(mail)

    def token(self) -> str:
        """The token in the last mail."""
        return self.mails[-1].text.split("token:\n\n    ")[1].split()[0]


def door(vault: Vault, clock: Clock, ids: Ids, **rules: Any) -> Door:
    tokens = AccessTokens(
        SharedSecret(SECRET),
        clock,
        ids,
        issuer="penstock",
        audience="penstock",
        lifetime=timedelta(minutes=15),
    )
    return Door(
        hasher=CountedHashes(),
        common_passwords=CommonPasswords(),
        tokens=tokens,
        opaque=RandomTokens(),
        authenticators=TotpAuthenticators(),
        vault=vault,
        post=Mailbox(),
        pace=CountedPace(),
        clock=clock,
        ids=ids,
        rules=DoorRules(**rules),
    )
