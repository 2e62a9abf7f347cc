"""How many subscriptions one viewer may have open, over sockets and streams together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from domain.identity import Caller
from infra.realtime.sharing import Shares
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from infra.settings import Settings
from infra.web.documents import Documents
from infra.web.entrance import Entrance
from infra.web.errors import ErrorFormatter
from infra.web.followers import Followers
from infra.web.front import front_door
from infra.web.health import Health
from infra.web.metrics import Metrics
from infra.web.operations import Operations, RequestRefused
from infra.web.routes import create_web
from infra.web.websocket import WebSocketEndpoint
from resolvers.context import Context
from schema.root import schema
from tests.infra.clients import FOLLOW, Wire, dialling, eventually
from tests.infra.realtime.world import StillClock, World
from tests.infra.web.serving import Anybody, served
from tests.infra.web.test_sse import READER, listening, nothing_stored

LIMITED = {"code": "RATE_LIMITED", "limit": 2}


class Service:
    """The stream in memory behind the whole application, at most two subscriptions for one caller."""

    def __init__(self) -> None:
        self.world = World()
        self.followers = Followers(2)
        feed = Feed(self.world.hub, StatusBoard(nothing_stored), StillClock(), self.world.seen_by)
        services: Any = SimpleNamespace(feed=feed)
        graphql: Any = schema._schema
        operations = Operations(
            graphql,
            Documents(graphql),
            lambda caller: Context(caller, services),
            Shares(outbox_events=16, outbox_bytes=1 << 20),
            ErrorFormatter(),
            Metrics(),
            followers=self.followers,
        )
        entrance, metrics = Entrance(Anybody(READER)), Metrics()
        sockets = WebSocketEndpoint(operations, entrance)
        self.app = create_web(operations, entrance, sockets, Health({}), metrics)

    async def is_free(self) -> bool:
        """Whether nothing is counted any more."""
        return not self.followers._open


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Service, str]]:
    service = Service()
    await service.world.hub.start()
    async with served(service.app) as url:
        yield service, url
    await service.world.hub.stop()


@asynccontextmanager
async def acknowledged(url: str) -> AsyncIterator[Wire]:
    async with dialling(url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init")
        assert (await wire.recv())["type"] == "connection_ack"
        yield wire


async def test_one_subscription_too_many_is_refused_on_either_way() -> None:
    async with running() as (service, url), acknowledged(url) as wire:
        await wire.subscribe("1", FOLLOW)
        assert (await wire.recv())["type"] == "next"
        async with listening(url, FOLLOW) as events:
            assert "data" in (await events.next())[1]
            await wire.subscribe("2", FOLLOW)
            refused = await wire.recv()
            assert (refused["type"], refused["id"]) == ("error", "2")
            assert "At most 2 subscriptions" in refused["payload"][0]["message"]
            assert refused["payload"][0]["extensions"].items() >= LIMITED.items()
            async with listening(url, FOLLOW) as others:
                (error,) = (await others.next())[1]["errors"]
                assert error["extensions"].items() >= LIMITED.items()
                assert await others.next() == ("complete", None)
        assert service.followers.refused == 2


async def test_a_subscription_that_ends_frees_its_place_whatever_way() -> None:
    async with running() as (service, url):
        async with acknowledged(url) as wire:
            for id in ("1", "2"):
                await wire.subscribe(id, FOLLOW)
                assert (await wire.recv())["type"] == "next"
            for id in ("1", "2"):
                await wire.send(type="complete", id=id)
            await eventually(service.is_free)
            await wire.subscribe("3", FOLLOW, after="no cursor")
            assert (await wire.recv())["type"] == "error"
            await wire.subscribe("4", FOLLOW)
            assert (await wire.recv())["type"] == "next"
        await eventually(service.is_free)  # the socket has closed
        async with listening(url, FOLLOW) as events:
            await events.next()
            assert not await service.is_free()
        await eventually(service.is_free)


def test_users_keys_and_addresses_are_counted_apart() -> None:
    followers = Followers(1)
    one = replace(READER, user_id=UUID(int=1))
    callers = [
        Caller(one, "r"),
        Caller(replace(READER, user_id=UUID(int=2)), "r"),
        Caller(replace(one, api_key_id=UUID(int=3)), "r"),
        Caller(None, "r", address="198.51.100.1"),
        Caller(None, "r", address="198.51.100.2"),
    ]
    with (
        followers.following(callers[0]),
        followers.following(callers[1]),
        followers.following(callers[2]),
        followers.following(callers[3]),
        followers.following(callers[4]),
    ):
        for caller in callers:
            with pytest.raises(RequestRefused, match="At most 1 "), followers.following(caller):
                pass
    with pytest.raises(KeyError), followers.following(callers[0]):
        raise KeyError
    with followers.following(callers[0]):
        pass


def test_how_many_is_a_setting() -> None:
    given = Settings(_env_file=None, max_subscriptions_per_viewer=1)  # type: ignore[call-arg]
    followers, someone = front_door(given, schema._schema).followers, Caller(READER, "r")  # type: ignore[attr-defined]
    with (
        followers.following(someone),
        pytest.raises(RequestRefused, match="At most 1 "),
        followers.following(someone),
    ):
        pass
