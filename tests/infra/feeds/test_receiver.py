import asyncio
import json

from domain.connectors import Secrets, Venue
from infra.feeds.receiver import Receiver
from infra.feeds.venues import normalise
from infra.system import RandomIds, SystemClock
from tests.infra.feeds.factories import FRAME_LIMIT, Shelf, States, a_connector, eventually

TRADE = {"e": "trade", "E": 1795249500000, "s": "BNBBTC", "t": 7, "p": "0.1", "q": "1"}
FRAME = json.dumps(TRADE | {"T": 1795249500000, "m": True, "M": True}).encode()


async def test_what_waits_for_the_writer_when_reading_ends_is_given_up_and_said() -> None:
    connector, shelf = a_connector("ws://x/"), Shelf(room=0)
    keeper = States().keeper(connector)
    receiver = Receiver(
        connector,
        Secrets(),
        keeper.lease,
        keeper,
        shelf,
        normalise,
        SystemClock(),
        RandomIds(),
        FRAME_LIMIT,
    )
    taking = asyncio.create_task(receiver.take(FRAME))
    await eventually(lambda: keeper.pending == 1)
    taking.cancel()
    await asyncio.wait({taking})
    assert (keeper.pending, keeper.shed) == (0, 1)

    await shelf.make_room(1)
    await receiver.take(FRAME)
    assert shelf.sequences == ["7"]


async def test_ticks_that_a_frame_lists_newest_first_are_stored_as_they_happened() -> None:
    url = "https://www.okx.com/api/v5/market/trades?instId=BTC-USDT"
    connector, shelf = a_connector(url, venue=Venue.OKX), Shelf()
    keeper = States().keeper(connector)
    receiver = Receiver(
        connector,
        Secrets(),
        keeper.lease,
        keeper,
        shelf,
        normalise,
        SystemClock(),
        RandomIds(),
        FRAME_LIMIT,
    )
    facts = {"instId": "BTC-USDT", "px": "1", "sz": "1", "side": "buy"}
    times = {9: 1_795_249_502_000, 8: 1_795_249_501_000, 7: 1_795_249_501_000}
    trades = [facts | {"tradeId": str(number), "ts": str(ts)} for number, ts in times.items()]
    await receiver.take(json.dumps({"code": "0", "msg": "", "data": trades}).encode())
    assert shelf.sequences == ["7", "8", "9"]


async def test_a_frame_that_comes_again_is_counted_and_kept_once_unless_it_was_given_up() -> None:
    connector, shelf = a_connector("ws://x/"), Shelf()
    keeper = States().keeper(connector)
    receiver = Receiver(
        connector,
        Secrets(),
        keeper.lease,
        keeper,
        shelf,
        normalise,
        SystemClock(),
        RandomIds(),
        FRAME_LIMIT,
    )
    for frame in (b"nonsense", b"nonsense", b"nonsense", b"other", b"nonsense", FRAME, b"nonsense"):
        await receiver.take(frame)
    kept = [arrival.quarantined.frame for arrival in shelf.arrivals if arrival.quarantined]
    assert kept == [b"nonsense", b"other", b"nonsense"]
    assert keeper.quarantined == 6
    assert "the same frame again (1 times)" in (keeper.last_error or "")

    keeper.gave_up([], 1)
    await receiver.take(b"nonsense")
    assert shelf.arrivals[-1].quarantined is not None
