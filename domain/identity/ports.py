"""What identity needs from outside."""

from dataclasses import dataclass
from typing import Protocol

from domain.audit import Deed
from domain.identity.viewer import Act
from domain.ports import Database


class Databases(Protocol):
    """The database as different parties see it."""

    def of(self, act: Act) -> Database:
        """As the caller's viewer: row-level security shows and admits what is theirs. Raises Unauthenticated.

        What its `write` sessions change is audited under the act's action, in the same transaction.
        """

    def accounts(self, act: Act) -> Database:
        """As the service that knows passwords and sessions: for what comes before or beside a viewer's rights.

        It reaches the tables of identity alone; its changes are audited alike.
        """


class AuditLog(Protocol):
    """Writes down what no session of `Databases` did: each event in a transaction of its own."""

    async def write(self, act: Act, deed: Deed) -> None:
        """Write a deed down under the act's caller; raises what the database raises."""

    async def viewed(self, act: Act, deed: Deed) -> None:
        """Write down that others' data was looked at, once per viewer, action, workspace and hour."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one address, as text."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Sends mail."""

    async def send(self, mail: Mail) -> None:
        """Hand a mail over; raises ConnectionError when it cannot be delivered to the next station."""


class PasswordHasher(Protocol):
    """Hashes passwords, slowly and off the event loop."""

    async def hash(self, password: str) -> str:
        """Argon2id with a fresh salt."""

    async def verify(self, password: str, hash: str | None) -> tuple[bool, str | None]:
        """Whether it is the password, and a better hash to keep when the old one is of a weaker kind.

        With no hash (an unknown user, or one without a password) it takes as long and says no.
        """
