"""People behind the schema: a world whose clock stands, and what a person does in it."""

import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import func
from sqlmodel import SQLModel, col, select

from domain.audit import AuditEvent
from domain.identity import (
    Caller,
    Credential,
    SessionRecord,
    User,
    Viewer,
    viewer_for_user,
)
from domain.identity.door import Door
from infra.postgres.database import Database
from schema.errors import top_level
from schema.root import schema
from tests.doors import CountedHashes, CountedPace, Mailbox
from tests.factories import FixedClock
from tests.resolvers.world import World, living

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
ANONYMOUS = Caller(None, "request-1")
SELECTIONS = """... on Error { message code } ... on InvalidInput { field reason }
  ... on TooManyAttempts { retryAfterSeconds } ... on SessionNotFound { id }
  ... on SoleOwner { workspaceIds } ... on MailRequest { email } ... on User { id email name } ... on SignedOut { sessions }
  ... on Session { accessToken refreshToken expiresAt user { id email name } }
  ... on Account { email name timeZone secondFactor } ... on DeviceSession { id device }
  ... on ProviderLink { provider token expiresAt }
  ... on TotpEnrolment { secret uri picture } ... on RecoveryCodes { codes }"""


@dataclass
class People:
    world: World
    clock: FixedClock

    @property
    def door(self) -> Door:
        return self.world.services.door

    @property
    def mailbox(self) -> Mailbox:
        return cast("Mailbox", self.door.post)

    @property
    def evened(self) -> int:
        """How many answers took the usual time."""
        return cast("CountedPace", self.door.pace).evened

    @property
    def hasher(self) -> CountedHashes:
        return cast("CountedHashes", self.door.hasher)

    @property
    def database(self) -> Database:
        return self.world.database

    async def execute(
        self, document: str, caller: Caller, **variables: Any
    ) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        result = await schema.execute(
            document, variables, context_value=self.world.services.context(caller)
        )
        errors = []
        for error in result.errors or ():
            known = top_level(error.original_error)
            assert known is not None, error
            errors.append(known[1])
        return result.data, errors

    async def ask(self, document: str, viewer: Viewer | None, **variables: Any) -> dict[str, Any]:
        data, errors = await self.execute(document, _caller(viewer), **variables)
        assert errors == []
        assert data is not None
        return data

    async def do(
        self,
        mutation: str,
        viewer: Viewer | None = None,
        *,
        caller: Caller | None = None,
        **input: Any,
    ) -> dict[str, Any]:
        """The result of a mutation, of anybody's unless a viewer is given."""
        data, errors = await self.execute(
            _document(mutation), caller or _caller(viewer), input=input
        )
        assert errors == []
        assert data is not None
        return dict(data[mutation])

    async def refusal(
        self, mutation: str, viewer: Viewer | None, **input: Any
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Data and the extensions of the only error."""
        data, errors = await self.execute(_document(mutation), _caller(viewer), input=input)
        assert len(errors) == 1
        return data, errors[0]

    async def join(self, email: str = EMAIL) -> Viewer:
        """Register, prove the address, sign in."""
        await self.do("register", email=email, password=PASSWORD)
        await self.do("verifyEmail", token=self.mailbox.token())
        return await self.sign_in(email)

    async def sign_in(self, email: str = EMAIL, **more: Any) -> Viewer:
        session = await self.do("signIn", email=email, password=PASSWORD, **more)
        assert session["__typename"] == "Session", session
        return await self.viewer_of(session["accessToken"])

    async def viewer_of(self, token: str) -> Viewer:
        """Whom an access token stands for."""
        claims = await self.door.tokens.verify(token)  # type: ignore[attr-defined]
        async with self.database.read() as session:
            return await viewer_for_user(
                session, claims.user_id, now=self.clock.now(), session_id=claims.session_id
            )

    async def sessions(self, viewer: Viewer) -> list[dict[str, Any]]:
        """The viewer's sessions, as listed."""
        told = await self.ask(
            "{ viewer { sessions { edges { node { id device address method current } } } } }",
            viewer,
        )
        return [edge["node"] for edge in told["viewer"]["sessions"]["edges"]]

    async def going_on(self, viewer: Viewer) -> list[UUID]:
        async with self.database.read() as session:
            found = await session.exec(
                select(SessionRecord.id).where(
                    col(SessionRecord.user_id) == viewer.user_id,
                    col(SessionRecord.ended_at).is_(None),
                )
            )
            return list(found)

    async def count(self, kind: type[SQLModel]) -> int:
        async with self.database.read() as session:
            return await session.scalar(select(func.count()).select_from(kind)) or 0

    async def change(self, kind: type[User], email: str, **values: Any) -> None:
        async with self.database.write() as session:
            user = (await session.exec(select(kind).where(col(kind.email) == email))).one()
            for name, value in values.items():
                setattr(user, name, value)

    async def credential(self, viewer: Viewer) -> Credential:
        async with self.database.read() as session:
            return await session.get_one(Credential, viewer.user_id)

    async def set_hash(self, viewer: Viewer, hash: str | None) -> None:
        async with self.database.write() as session:
            credential = await session.get_one(Credential, viewer.user_id)
            credential.password_hash = hash

    async def events(self, **wanted: Any) -> Sequence[AuditEvent]:
        async with self.database.read() as session:
            statement = select(AuditEvent).order_by(col(AuditEvent.id))
            for name, value in wanted.items():
                statement = statement.where(getattr(AuditEvent, name) == value)
            return (await session.exec(statement)).all()

    @staticmethod
    def django_hash(password: str) -> str:
        """A hash as Django wrote it."""
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 1000)
        return f"pbkdf2_sha256$1000$salt${base64.b64encode(key).decode()}"


@asynccontextmanager
async def living_people(url: str, rules: dict[str, Any] | None = None) -> AsyncIterator[People]:
    """A world with nobody in it but the database's first user."""
    clock = FixedClock()
    async with living(url, clock=clock, rules=rules) as world:
        yield People(world, clock)


def _caller(viewer: Viewer | None) -> Caller:
    return Caller(viewer, "request-1", address="198.51.100.1", agent="Tests/1.0")


def _document(mutation: str) -> str:
    capital = mutation[0].upper() + mutation[1:]
    return f"mutation($input: {capital}Input!) {{ {mutation}(input: $input) {{ __typename {_of(capital)} }} }}"


def _of(capital: str) -> str:
    """The selections of a mutation's result that its union has."""
    union = schema.schema_converter.type_map[f"{capital}Result"].definition  # type: ignore[union-attr]
    names = {
        member.__strawberry_definition__.name
        for member in union.types  # type: ignore[union-attr]
    }
    return " ".join(
        f"... on {part}"
        for part in SELECTIONS.split("... on ")[1:]
        if part.split(" ", 1)[0] in names | {"Error"}
    )
