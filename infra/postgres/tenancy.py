"""The database as different parties see it: what each may see and change is PostgreSQL's to say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from domain.identity import Act, Unauthenticated, Viewer
from infra.postgres.auditing import ACT
from infra.postgres.database import (
    CONNECT_TIMEOUT_SECONDS,
    Connection,
    Database,
    ReadSession,
    WriteSession,
)
from infra.postgres.viewing import settings_of

_SETTINGS = "viewer"


class Bound:
    """A database for one act: its transactions begin as the viewer, and what they write is audited as the act's."""

    def __init__(self, database: Database, viewer: Viewer | None, act: Act | None) -> None:
        self._database = database
        self._settings = "" if viewer is None else settings_of(viewer)
        self._act = act

    @asynccontextmanager
    async def acquire(
        self, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS
    ) -> AsyncIterator[Connection]:
        """An asyncpg connection in a read-only transaction; raises TimeoutError when none comes free in time."""
        async with self._lent(timeout_seconds) as connection, connection.transaction(readonly=True):
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """An asyncpg connection whose statements all see the same state of the database."""
        async with (
            self._lent(CONNECT_TIMEOUT_SECONDS) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A session in a read-only transaction."""
        async with self._database.read({_SETTINGS: self._settings}) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A session that commits at the end of the block, or rolls back when the block raises."""
        info: dict[str, Any] = {_SETTINGS: self._settings}
        if self._act is not None:
            info[ACT] = self._act
        async with self._database.write(info) as session:
            yield session

    @asynccontextmanager
    async def _lent(self, timeout_seconds: float) -> AsyncIterator[Connection]:
        async with self._database.acquire(timeout_seconds) as connection:
            if not self._settings:
                yield connection
                return
            begin_as(connection, self._settings)
            try:
                yield connection
            finally:
                begin_as(connection, "")


class Tenancy:
    """Implements `domain.identity.Databases`, with a database of the API's role and one of the accounts'."""

    def __init__(self, api: Database, accounts: Database) -> None:
        self._api = api
        self._accounts = accounts

    @property
    def databases(self) -> dict[str, Database]:
        """The databases by what they are for."""
        return {"api": self._api, "accounts": self._accounts}

    def of(self, act: Act) -> Bound:
        """As the caller's viewer; raises Unauthenticated."""
        if act.caller.viewer is None:
            raise Unauthenticated
        return Bound(self._api, act.caller.viewer, act)

    def seen_by(self, viewer: Viewer) -> Bound:
        """As a viewer who only reads."""
        return Bound(self._api, viewer, None)

    def accounts(self, act: Act) -> Bound:
        """As the service that knows passwords, sessions and invitations."""
        return Bound(self._accounts, None, act)


def begin_as(connection: "Connection | asyncpg.Connection[Any]", settings: str) -> None:
    """Have a connection's transactions begin with these settings."""
    connection.begin_as(settings)  # type: ignore[union-attr]


@event.listens_for(Session, "after_begin")
def _begin_as(session: Session, _: SessionTransaction, connection: SyncConnection) -> None:
    """Before a session's BEGIN goes out, which is with its first statement."""
    settings = session.info.get(_SETTINGS)
    if settings:
        begin_as(connection.connection.driver_connection, settings)  # type: ignore[arg-type]
