"""Connectors read the replayer, which speaks as the venues do and misbehaves on request."""

import json

import pytest

from domain.connectors import Venue
from domain.messages import QuarantineReason
from infra.feeds.sequences import Sequences
from infra.replay.faults import Corruption, Fault, FaultKind
from infra.replay.options import ReplayOptions
from infra.replay.server import Replayer
from tests.infra.feeds.factories import a_connector, eventually, reading

FAST = ReplayOptions(rate=500.0, streams=("*@trade", "trades:*", "matches:*", "ticker:*"))


def binance(replayer: Replayer, **changes: object):
    streams = [name for name in replayer.streams["binance"] if name.endswith("@trade")]
    subscribe = json.dumps({"method": "SUBSCRIBE", "params": streams, "id": 1})
    url = replayer.url("binance", "/ws")
    return a_connector(url, venue=Venue.BINANCE, subscribe_frames=[subscribe], **changes)


def okx(replayer: Replayer):
    topics = [name.partition(":") for name in replayer.streams["okx"] if name.startswith("trades:")]
    arguments = [{"channel": channel, "instId": instrument} for channel, _, instrument in topics]
    subscribe = json.dumps({"op": "subscribe", "args": arguments})
    url = replayer.url("okx", "/ws/v5/public")
    return a_connector(url, venue=Venue.OKX, subscribe_frames=[subscribe])


@pytest.mark.parametrize("of", [binance, okx])
async def test_recorded_frames_arrive_as_messages(of) -> None:
    async with Replayer(FAST) as replayer, reading(of(replayer)) as read:
        await read.shelf.wait_for(20)
    assert all(arrival.ticks and arrival.quarantined is None for arrival in read.shelf.arrivals)
    assert read.states == ["STARTING", "RUNNING"]
    assert (read.keeper.quarantined, read.keeper.reconnects) == (0, 0)


async def test_what_the_venue_sends_twice_or_late_is_stored_once() -> None:
    async with Replayer(FAST) as replayer:
        replayer.faults.add(Fault(FaultKind.DUPLICATE, probability=0.3))
        replayer.faults.add(Fault(FaultKind.REORDER, probability=0.3))
        async with reading(binance(replayer)) as read:
            await read.shelf.wait_for(100)
    ticks = [tick for arrival in read.shelf.arrivals for tick in arrival.ticks]
    assert len({tick.key for tick in ticks}) == len(ticks)
    assert read.keeper.duplicates > 0
    assert not Sequences().admit(ticks).duplicates


async def test_disconnects_resets_and_refused_handshakes_are_survived() -> None:
    async with Replayer(FAST) as replayer, reading(binance(replayer)) as read:
        await read.shelf.wait_for(10)
        await replayer.disconnect()
        await eventually(lambda: replayer.opened() == 2 and replayer.connections() == 1)
        await replayer.disconnect(abrupt=True)
        refusals = replayer.faults.add(Fault(FaultKind.STATUS, status=503, count=3))
        await eventually(lambda: replayer.opened() == 3 and replayer.connections() == 1)
        replayer.faults.remove(refusals)
        await read.shelf.wait_for(len(read.shelf.arrivals) + 10)
    assert read.keeper.reconnects >= 2
    assert read.states[-1] == "RUNNING"


async def test_a_silent_venue_is_stale_and_left() -> None:
    async with Replayer(FAST) as replayer, reading(binance(replayer, stale_after_ms=300)) as read:
        await read.shelf.wait_for(10)
        silence = replayer.faults.add(Fault(FaultKind.SILENCE))
        await eventually(lambda: "STALE" in read.states)
        replayer.faults.remove(silence)
        await read.shelf.wait_for(len(read.shelf.arrivals) + 10)
    assert read.states[-1] == "RUNNING"


@pytest.mark.parametrize(
    "corruption", [Corruption.MALFORMED, Corruption.TRUNCATED, Corruption.BINARY, Corruption.HUGE]
)
async def test_damaged_frames_are_quarantined_and_the_rest_goes_on(corruption: Corruption) -> None:
    async with Replayer(FAST) as replayer:
        replayer.faults.add(Fault(FaultKind.CORRUPT, corruption=corruption, probability=0.2))
        async with reading(binance(replayer)) as read:
            await eventually(lambda: read.keeper.quarantined >= 3)
            await eventually(lambda: sum(len(one.ticks) for one in read.shelf.arrivals) >= 10)
    if corruption is Corruption.HUGE:
        frames = [one.quarantined for one in read.shelf.arrivals if one.quarantined]
        assert {frame.reason for frame in frames} == {QuarantineReason.TOO_LARGE}
    assert read.keeper.reconnects == 0
