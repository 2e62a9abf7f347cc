"""The demo: connectors that read a replayer of recorded exchange frames."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlmodel import col, select

from domain import connectors
from domain.connectors import (
    Configuration,
    Connector,
    Workshop,
)
from domain.identity import Viewer
from domain.ports import Database
from infra.replay.demo import DemoSource, demo_sources
from infra.replay.options import ReplayOptions
from infra.replay.server import Replayer

DEMO_SPEED = 4.0  # the recordings pause for seconds at a time


@asynccontextmanager
async def demonstrating(
    database: Database, workshop: Workshop, viewer: Viewer
) -> AsyncIterator[Replayer]:
    """A replayer for the block, and running connectors in the viewer's workspace that read it."""
    async with Replayer(ReplayOptions(speed=DEMO_SPEED)) as replayer:
        for source in demo_sources():
            url = replayer.url(source.replayed, source.path)
            await _connect(database, workshop, viewer, source, url)
        yield replayer


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
