import asyncio
import json
import time
from typing import Any

import httpx
import pytest
import websockets

from infra.replay.faults import Corruption, Fault, FaultKind, Transport
from infra.replay.server import Replayer
from tests.infra.replay.listening import (
    binance_subscribe,
    close_code,
    listening,
    next_text,
    replaying,
    until_silent,
)

TRADES = "/ws/omgbusd@aggTrade"
PRICE = "/api/v3/ticker/price?symbol=LTCBTC"


def numbers(texts: list[Any]) -> list[int]:
    return [json.loads(text)["a"] for text in texts]


async def heard(replayer: Replayer, count: int) -> list[Any]:
    async with listening(replayer, "binance", TRADES) as socket:
        return [await next_text(socket) for _ in range(count)]


def playing(*faults: Fault, **options: Any) -> Any:
    return replaying(**{"rate": 3000, "venues": ("binance",), "faults": faults, **options})


async def test_duplicate_sends_a_frame_twice() -> None:
    async with playing(Fault(FaultKind.DUPLICATE, after=2, count=1)) as replayer:
        texts = await heard(replayer, 6)
    first = numbers(texts)[0]
    assert numbers(texts) == [first + step for step in (0, 1, 2, 2, 3, 4)]
    assert texts[2] == texts[3]


async def test_reorder_sends_a_frame_after_its_successor() -> None:
    async with playing(Fault(FaultKind.REORDER, after=1, count=1)) as replayer:
        got = numbers(await heard(replayer, 5))
    assert got == [got[0] + step for step in (0, 2, 1, 3, 4)]


async def test_disconnect_closes_with_the_code_asked_for_and_only_as_often() -> None:
    fault = Fault(FaultKind.DISCONNECT, after=3, count=1, close_code=1013)
    async with playing(fault) as replayer:
        async with listening(replayer, "binance", TRADES) as socket:
            texts = [await next_text(socket) for _ in range(3)]
            assert await close_code(socket) == 1013
        again = numbers(await heard(replayer, 50))
    assert again[0] > numbers(texts)[-1]
    assert again == list(range(again[0], again[0] + 50))


async def test_abort_breaks_the_connection_without_a_close() -> None:
    async with (
        playing(Fault(FaultKind.ABORT, after=3, count=1)) as replayer,
        listening(replayer, "binance", TRADES) as socket,
    ):
        for _ in range(3):
            await next_text(socket)
        assert await close_code(socket) == 1006


async def test_silence_stops_frames_and_pongs_and_ends_when_the_fault_is_removed() -> None:
    async with (
        playing() as replayer,
        listening(replayer, "binance", TRADES) as socket,
    ):
        first = await next_text(socket)
        fault = replayer.faults.add(Fault(FaultKind.SILENCE))
        before = numbers([first, *await until_silent(socket, 0.3)])[-1]
        pong = await socket.ping()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(pong), 0.2)
        replayer.faults.remove(fault)
        after = json.loads(await next_text(socket))["a"]
        assert after > before + 1
        await asyncio.wait_for(await socket.ping(), 2)


async def test_silence_can_last_a_given_time() -> None:
    async with (
        playing(Fault(FaultKind.SILENCE, after=1, count=1, seconds=0.4)) as replayer,
        listening(replayer, "binance", TRADES) as socket,
    ):
        await next_text(socket)
        began = time.monotonic()
        await next_text(socket)
        assert time.monotonic() - began == pytest.approx(0.4, abs=0.2)


async def test_slow_delays_every_frame() -> None:
    async with playing(Fault(FaultKind.SLOW, seconds=0.05)) as replayer:
        began = time.monotonic()
        got = numbers(await heard(replayer, 6))
    assert time.monotonic() - began >= 0.3
    assert got == list(range(got[0], got[0] + 6))


@pytest.mark.parametrize("how", list(Corruption))
async def test_corrupt_damages_one_frame_and_leaves_the_next(how: Corruption) -> None:
    fault = Fault(FaultKind.CORRUPT, after=1, count=1, corruption=how, size_bytes=1_500_000)
    async with playing(fault) as replayer:
        good, bad, next_good = await heard(replayer, 3)
    assert numbers([next_good])[0] == numbers([good])[0] + 2
    match how:
        case Corruption.MALFORMED | Corruption.TRUNCATED:
            with pytest.raises(ValueError, match="line 1"):
                json.loads(bad)
        case Corruption.BINARY:
            assert isinstance(bad, bytes)
        case Corruption.HUGE:
            assert len(bad) == pytest.approx(1_500_000, rel=0.001)
            assert json.loads(bad)["a"] == numbers([good])[0] + 1
        case Corruption.NAN:
            assert isinstance(json.loads(bad)["p"], float)
        case Corruption.WRONG_TYPES:
            assert json.loads(bad)["p"] != json.loads(good)["p"]
            json.loads(bad)
        case Corruption.ABSURD:
            assert abs(float(json.loads(bad)["p"])) > 1e20


async def test_a_handshake_can_be_refused_with_a_status() -> None:
    fault = Fault(FaultKind.STATUS, count=1, status=429, retry_after="7")
    async with playing(fault) as replayer:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(replayer.url("binance", TRADES))
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "7"
        assert await heard(replayer, 1)
        assert [request.status for request in replayer.requests] == [429, 101]


async def get(replayer: Replayer, path: str = PRICE, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=5) as client:
        return await client.get(replayer.url("binance", path), **more)


async def test_rest_answers_429_with_retry_after_then_500_then_well() -> None:
    faults = (
        Fault(FaultKind.STATUS, transport=Transport.REST, count=1, status=429, retry_after="3"),
        Fault(FaultKind.STATUS, transport=Transport.REST, after=1, count=1, status=500),
    )
    async with playing(*faults) as replayer:
        answers = [await get(replayer) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [429, 500, 200]
        assert answers[0].headers["retry-after"] == "3"
        assert [request.status for request in replayer.requests] == [429, 500, 200]


async def test_rest_can_be_slow_and_silent() -> None:
    async with playing(Fault(FaultKind.SLOW, seconds=0.3, count=1)) as replayer:
        began = time.monotonic()
        assert (await get(replayer)).status_code == 200
        assert time.monotonic() - began >= 0.3
        replayer.faults.add(Fault(FaultKind.SILENCE))
        with pytest.raises(httpx.ReadTimeout):
            await get(replayer, timeout=0.3)
        replayer.faults.clear()
        assert (await get(replayer)).status_code == 200


@pytest.mark.parametrize("kind", [FaultKind.ABORT, FaultKind.DISCONNECT])
async def test_rest_can_break_off(kind: FaultKind) -> None:
    async with playing(Fault(kind, count=1)) as replayer:
        with pytest.raises(httpx.TransportError):
            await get(replayer)
        assert (await get(replayer)).status_code == 200


async def test_rest_answers_can_be_damaged() -> None:
    fault = Fault(FaultKind.CORRUPT, corruption=Corruption.TRUNCATED, count=1)
    async with playing(fault) as replayer:
        with pytest.raises(ValueError, match="line 1"):
            (await get(replayer)).json()
        assert (await get(replayer)).json()["symbol"] == "LTCBTC"


async def test_faults_keep_to_their_venue_and_transport() -> None:
    fault = Fault(FaultKind.ABORT, venue="okx", transport=Transport.REST)
    async with playing(fault, venues=("binance", "okx")) as replayer:
        assert (await get(replayer)).status_code == 200
        assert len(await heard(replayer, 5)) == 5
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.TransportError):
                await client.get(replayer.url("okx", "/api/v5/public/time"))


async def test_the_same_seed_gives_the_same_mishaps_at_the_asked_frequency() -> None:
    async def pattern(seed: int) -> list[int]:
        fault = Fault(FaultKind.DUPLICATE, probability=0.3)
        async with playing(fault, seed=seed) as replayer:
            got = numbers(await heard(replayer, 300))
        return [number - got[0] for number in got]

    one, same, other = await pattern(1), await pattern(1), await pattern(2)
    assert one == same
    assert one != other
    assert 300 - len(set(one)) == pytest.approx(0.3 / 1.3 * 300, abs=25)


async def test_all_connections_of_a_venue_can_be_ended_at_once() -> None:
    async with (
        playing() as replayer,
        listening(replayer, "binance", "/ws") as clean,
        listening(replayer, "binance", "/ws", binance_subscribe("x")) as other,
    ):
        await next_text(other)
        assert await replayer.disconnect("okx") == 0
        assert await replayer.disconnect("binance") == 2
        assert (await close_code(clean), await close_code(other)) == (1012, 1012)
        async with asyncio.timeout(2):
            while replayer.connections():
                await asyncio.sleep(0.01)
        assert replayer.opened("binance") == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"probability": 1.5},
        {"status": 200},
        {"seconds": -1},
        {"kind": FaultKind.SLOW},
        {"close_code": 1005},
        {"size_bytes": 1 << 40},
    ],
)
def test_impossible_faults_are_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|needs"):
        Fault(**{"kind": FaultKind.STATUS, **facts})
