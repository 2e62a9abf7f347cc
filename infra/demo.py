"""The demo: a user whom everybody on this machine may be, and connectors of theirs that read a replayer."""

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from sqlmodel import col, exists, select

from domain import connectors
from domain.connectors import Configuration, Connector, Workshop
from domain.identity import (
    Act,
    Caller,
    Credential,
    Databases,
    Viewer,
    operating,
    passwords,
    registration,
    viewer_for_user,
)
from domain.identity.door import Door
from domain.ports import Database
from infra.console import errors
from infra.replay.demo import DemoSource, demo_sources
from infra.replay.options import ReplayOptions
from infra.replay.server import Replayer
from infra.settings import Settings
from infra.startup import CannotRun, is_loopback

DEMO_SPEED = 4.0  # the recordings pause for seconds at a time
DEMO_EMAIL: Final = "demo@penstock.local"
PASSWORD_FILE: Final = "demo.password"  # noqa: S105 - a file's name
HOME: Final = UUID("01900000-0000-7000-8000-000000000001")
"""The workspace of demos from before there were accounts."""

ACTION: Final = "demo"


@dataclass(frozen=True, slots=True)
class DemoDesk:
    """What the demo is set up with; `whole` sees all workspaces, whoever is in them."""

    whole: Database
    databases: Databases
    door: Door
    workshop: Workshop


def require_loopback(listener: socket.socket) -> None:
    """Pass for an address that only this machine reaches; raises CannotRun."""
    if not is_loopback(listener):
        raise CannotRun(
            "the demo signs in whoever asks, so it listens on this machine alone:"
            " leave --host and PENSTOCK_HOST out, or --demo"
        )


@asynccontextmanager
async def demonstrating(desk: DemoDesk, settings: Settings) -> AsyncIterator[UUID]:
    """The demo's user for the block, with a replayer and running connectors that read it."""
    viewer = await _person(desk, settings)
    database = desk.databases.of(Act(Caller(viewer, f"demo-{uuid4().hex}"), ACTION))
    async with Replayer(ReplayOptions(speed=DEMO_SPEED)) as replayer:
        for source in demo_sources():
            url = replayer.url(source.replayed, source.path)
            await _connect(database, desk.workshop, viewer, source, url)
        yield _id(viewer)


async def _person(desk: DemoDesk, settings: Settings) -> Viewer:
    """The demo's user, made when there is none, with the password that the settings or the file say."""
    door, given = desk.door, settings.demo_password
    password = given.get_secret_value() if given else _kept(settings.data_dir.expanduser())
    inherits = await _has_connectors(desk.whole)
    accounts = desk.databases.accounts(Act(Caller(None, f"demo-{uuid4().hex}"), ACTION))
    async with accounts.read() as session:
        user = await registration.user_by_email(session, DEMO_EMAIL)
        stored = None if user is None else await session.get(Credential, user.id)
    known, _ = await door.hasher.verify(password, stored.password_hash if stored else None)
    hash = None if known else await door.hasher.hash(password)
    async with accounts.write() as session:
        user = await registration.user_by_email(session, DEMO_EMAIL)
        if user is None:
            user = await registration.new_user(
                session, door, email=DEMO_EMAIL, name="Demo", password_hash=hash, verified=True
            )
            if inherits:
                await operating.move_in(session, user, HOME, door.clock.now())
        elif hash is not None:
            credential = await passwords.held_credential(session, user.id)
            passwords.set_password(door, credential, hash)
        viewer = await viewer_for_user(session, user.id, now=door.clock.now())
    secret = "PENSTOCK_DEMO_PASSWORD" if given else password
    errors.print(f"Sign in to the demo as {DEMO_EMAIL} with the password {secret}", markup=False)
    return viewer


async def _has_connectors(database: Database) -> bool:
    async with database.read() as session:
        found = exists().where(col(Connector.workspace_id) == HOME)
        return bool(await session.scalar(select(found)))


def _kept(directory: Path) -> str:
    """The password that the data directory keeps, for this user's eyes alone; made on first use."""
    path = directory / PASSWORD_FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            draft = path.with_name(f".{PASSWORD_FILE}.{secrets.token_hex(8)}")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(draft, flags, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(12) + "\n")
            draft.replace(path)
        return path.read_text().strip()
    except OSError as error:
        raise CannotRun(f"{path} cannot be kept ({error.strerror})") from None


def _id(viewer: Viewer) -> UUID:
    if viewer.user_id is None:
        raise ValueError("the demo's viewer is a user")
    return viewer.user_id


async def _connect(
    database: Database, workshop: Workshop, viewer: Viewer, source: DemoSource, url: str
) -> None:
    """Make the connector and start it, or point the one of this name at today's replayer."""
    named = select(Connector.id).where(
        col(Connector.workspace_id) == viewer.workspace_id, col(Connector.name) == source.name
    )
    async with database.read() as session:
        known = await session.scalar(named)
    if known is not None:
        async with database.write() as session:
            connector = await connectors.locked(session, viewer, known)
            if connector.url != url:
                await connectors.update(session, workshop, connector, {"url": url})
        return
    configuration = Configuration(
        name=source.name,
        url=url,
        venue=source.venue,
        polling_interval_ms=source.polling_interval_ms,
        subscribe_frames=source.subscribe_frames,
    )
    connector, _ = await connectors.draft(workshop, viewer, configuration)
    async with database.write() as session:
        await connectors.create(session, viewer, connector)
        await connectors.start(session, workshop.clock, connector)
