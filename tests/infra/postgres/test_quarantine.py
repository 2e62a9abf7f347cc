"""Quarantined frames, replayed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.connectors import Secrets, Venue, seal_secrets
from domain.errors import NotFound
from domain.identity import Viewer
from domain.messages import (
    CannotNormalise,
    QuarantinedFrame,
    QuarantineReason,
    ReplayedQuarantine,
    Tick,
)
from domain.positions import first_id_at
from infra.feeds import venues
from infra.postgres import quarantine as replaying_module
from infra.postgres.database import Database
from infra.postgres.quarantine import Quarantine
from infra.security.vault import KeyVault
from tests import factories
from tests.factories import HOME_WORKSPACE_ID
from tests.infra.postgres.writing import (
    Writing,
    a_connector,
    arrival,
    rows,
    sequences,
    writing,
)
from tests.tenants import HOME, tenancy

VAULT = KeyVault([bytes(32)])


def normalise(
    venue: Venue, frame: bytes, source: str, mapping: dict[str, Any] | None
) -> list[Tick]:
    """Frames are numbers, one message each; 0 says nothing, letters are not understood, 13 is refused, ? is a bug."""
    assert (venue, source, mapping) == (Venue.CUSTOM, "wss://example.com/x", {"price": "p"})
    if frame == b"?":
        raise KeyError(frame)
    if not frame.isdigit():
        raise CannotNormalise(QuarantineReason.UNEXPECTED, "no number")
    numbers = frame.decode()
    data = "{" if numbers == "13" else "1"
    return [factories.tick(sequence=numbers, key=f"n:{numbers}", data=data)] * (numbers != "0")


@asynccontextmanager
async def replaying(database: Database) -> AsyncIterator[tuple[Writing, Quarantine]]:
    async with writing(database) as w, tenancy(database.url) as databases:
        yield w, Quarantine(databases, w.writer, normalise, VAULT)


async def held(database: Database, *frames: bytes, source: str = "wss://example.com/x") -> UUID:
    """A connector with these frames in quarantine."""
    connector_id = await a_connector(
        database, venue=Venue.CUSTOM, url="wss://example.com/x", mapping={"price": "p"}
    )
    await factories.save(
        database,
        *(
            QuarantinedFrame(
                id=factories.new_id(),
                workspace_id=HOME_WORKSPACE_ID,
                connector_id=connector_id,
                received_at=factories.NOW + timedelta(milliseconds=number),
                reason=QuarantineReason.UNEXPECTED,
                explanation="not understood",
                source=source,
                frame=frame,
                frame_bytes=len(frame),
            )
            for number, frame in enumerate(frames)
        ),
    )
    return connector_id


def a_klines_answer() -> bytes:
    """One candle of Binance's REST API, which does not say of which instrument."""
    begin, prices, end = "1499040000000", '"0.01","0.8","0.01","0.02","148"', "1499644799999"
    return f'[[{begin},{prices},{end},"2434",308,"1756","28","0"]]'.encode()


async def states(database: Database) -> dict[bytes, str]:
    return {row["frame"]: row["state"] for row in await rows(database, "quarantined_frames")}


async def test_what_is_understood_now_is_stored_and_the_rest_stays(database: Database) -> None:
    connector_id = await held(database, b"1", b"x", b"0", b"2")
    async with replaying(database) as (w, quarantine):
        outcome = await quarantine.replay(HOME, connector_id)
        await w.drained()
        assert w.announced.ids == [row["id"] for row in await rows(database)]
    assert outcome == ReplayedQuarantine(3, 2, 1)
    assert await states(database) == {
        b"1": "replayed",
        b"x": "held",
        b"0": "replayed",
        b"2": "replayed",
    }
    assert await sequences(database) == [1, 2]


async def test_messages_keep_their_receive_time_and_get_ids_of_now(database: Database) -> None:
    connector_id = await held(database, b"1")
    async with replaying(database) as (_, quarantine):
        await quarantine.replay(HOME, connector_id)
    (row,) = await rows(database)
    assert row["received_at"] == factories.NOW
    (frame,) = await rows(database, "quarantined_frames")
    assert frame["replayed_at"] > frame["received_at"] - timedelta(days=1)
    assert row["id"] >= first_id_at(frame["replayed_at"] - timedelta(seconds=10))


async def test_frames_that_stay_unreadable_hide_none_behind_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying_module, "REPLAY_LIMIT", 3)
    monkeypatch.setattr(replaying_module, "IDS_AT_ONCE", 30)
    connector_id = await held(database, *[b"x"] * 50, b"1", b"x", b"2", b"3", b"4")
    async with replaying(database) as (_, quarantine):
        assert await quarantine.replay(HOME, connector_id) == ReplayedQuarantine(3, 3, 52)
        assert await quarantine.replay(HOME, connector_id) == ReplayedQuarantine(1, 1, 51)


async def test_a_replay_that_takes_long_ends_before_all_were_tried(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying_module, "REPLAY_BUDGET_SECONDS", 0.0)
    connector_id = await held(database, *[b"x"] * 50)
    async with replaying(database) as (_, quarantine):
        assert await quarantine.replay(HOME, connector_id) == ReplayedQuarantine(0, 0, 20)


async def test_frames_can_be_chosen(database: Database) -> None:
    connector_id = await held(database, b"1", b"2", b"3")
    other = await held(database, b"4")
    frames = {row["frame"]: row["id"] for row in await rows(database, "quarantined_frames")}
    async with replaying(database) as (_, quarantine):
        outcome = await quarantine.replay(HOME, connector_id, [frames[b"2"], frames[b"4"]])
        assert outcome == ReplayedQuarantine(1, 1, 0)
        assert await quarantine.replay(HOME, other, []) == ReplayedQuarantine(0, 0, 0)
    assert await sequences(database) == [2]


async def test_replaying_twice_at_once_stores_once(database: Database) -> None:
    connector_id = await held(
        database, *(b"%d" % number for number in range(1, 46) if number != 13)
    )
    async with replaying(database) as (_, one), replaying(database) as (_, other):
        outcomes = await asyncio.gather(
            *(quarantine.replay(HOME, connector_id) for quarantine in (one, one, other))
        )
    assert sum(outcome.message_count for outcome in outcomes) == 44
    assert sum(outcome.replayed_count for outcome in outcomes) == 44
    assert sorted(await sequences(database)) == [n for n in range(1, 46) if n != 13]


async def test_a_repeated_frame_is_stored_once(database: Database) -> None:
    connector_id = await held(database, b"1", b"1", b"2")
    async with replaying(database) as (_, quarantine):
        assert await quarantine.replay(HOME, connector_id) == ReplayedQuarantine(3, 2, 0)
    assert await sequences(database) == [1, 2]


async def test_a_frame_whose_message_the_database_refuses_stays(database: Database) -> None:
    connector_id = await held(database, b"1", b"13", b"2", source="")
    async with replaying(database) as (_, quarantine):
        assert await quarantine.replay(HOME, connector_id) == ReplayedQuarantine(2, 2, 1)
    assert (await states(database))[b"13"] == "held"
    assert await sequences(database) == [1, 2]


async def test_a_frame_that_breaks_a_normaliser_holds_up_no_other(database: Database) -> None:
    connector_id = await held(database, b"1", b"?", b"2")
    async with replaying(database) as (_, quarantine):
        assert await quarantine.replay(HOME, connector_id) == ReplayedQuarantine(2, 2, 1)
    assert (await states(database))[b"?"] == "held"


@pytest.mark.parametrize("later", [timedelta(seconds=-1), timedelta(seconds=1), timedelta(days=1)])
async def test_what_is_stored_already_is_not_stored_again(
    database: Database, later: timedelta
) -> None:
    connector_id = await held(database, b"1", b"2")
    async with replaying(database) as (w, quarantine):
        tick = factories.tick(sequence="2", key="n:2")
        await w.writer.put(arrival(connector_id, tick, received_at=factories.NOW + later))
        await w.drained()
        assert await quarantine.replay(HOME, connector_id) == ReplayedQuarantine(2, 1, 0)
    assert [row["key"] for row in await rows(database)].count("n:2") == 1


async def test_an_instrument_that_a_secret_parameter_names_is_known(database: Database) -> None:
    connector_id = await held(database, a_klines_answer(), source="https://api.binance.com/klines")
    secrets = Secrets(query_parameters={"symbol": "BNBBTC", "interval": "1m"})
    await database.pool.execute(
        "update connectors set venue = 'binance', mapping = null, sealed = $2 where id = $1",
        connector_id,
        seal_secrets(VAULT, connector_id, secrets),
    )
    async with writing(database) as w, tenancy(database.url) as databases:
        quarantine = Quarantine(databases, w.writer, venues.normalise, VAULT)
        assert await quarantine.replay(HOME, connector_id) == ReplayedQuarantine(1, 1, 0)
        other_key = Quarantine(databases, w.writer, venues.normalise, KeyVault([b"x" * 32]))
        assert await other_key.replay(HOME, connector_id) == ReplayedQuarantine(0, 0, 0)
    assert [row["instrument"] for row in await rows(database)] == ["BNB-BTC"]


async def test_others_connectors_cannot_be_replayed(database: Database) -> None:
    connector_id = await held(database, b"1")
    async with replaying(database) as (_, quarantine):
        with pytest.raises(NotFound):
            await quarantine.replay(Viewer(factories.new_id()), connector_id)
