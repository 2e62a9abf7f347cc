import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.connectors import Venue
from domain.messages import (
    BookDetail,
    CandleDetail,
    Message,
    MessageType,
    QuoteDetail,
    Tick,
    TickerDetail,
    detail_of,
)
from infra.feeds.venues import normalise
from tests.infra.feeds.recorded import RECORDED, Recorded

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TYPES = {
    "trade": MessageType.TRADE,
    "ticker": MessageType.TICKER,
    "book_ticker": MessageType.QUOTE,
    "book": MessageType.BOOK,
    "candle": MessageType.CANDLE,
}


def at(milliseconds: int | Decimal) -> datetime:
    return EPOCH + timedelta(microseconds=int(milliseconds * 1000))


def detail(tick: Tick):
    return detail_of(
        Message(
            id=1,
            workspace_id=None,
            connector_id=None,
            exchange=tick.exchange,
            instrument=tick.instrument,
            type=tick.type,
            price=tick.price,
            quantity=tick.quantity,
            side=tick.side,
            sequence=tick.sequence,
            event_time=tick.event_time,
            received_at=EPOCH,
            data=tick.data,
            detail=tick.detail,
        )
    )


def text(value) -> str | None:
    return None if value is None else format(value, "f")


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.id)
def test_every_recorded_frame_comes_out_exact(case: Recorded):
    assert hashlib.sha256(case.frame).hexdigest()[:16] == case.sha256
    ticks = normalise(case.venue, case.frame, case.source, None)
    assert len(ticks) == len(case.events)
    for tick, event in zip(ticks, case.events, strict=True):
        assert tick.exchange == event["exchange"]
        assert tick.instrument in event.get("instrument_accept", [event["instrument"]])
        if "instrument_accept" in event:
            assert tick.instrument == event["instrument_native"], "a derivative keeps its own name"
        assert tick.type is TYPES[event["message_type"]]
        assert text(tick.price) == event["price"]
        if event["timestamp_ms"] is None:
            assert tick.event_time is None
        else:
            assert tick.event_time == at(event["timestamp_ms"])
            assert tick.event_time.tzinfo is UTC
        if "size" in event:
            assert text(tick.quantity) == event["size"]
            assert tick.side.value == event["side"]
            assert tick.sequence == event["trade_id"]
        assert_detail(tick, event)


def assert_detail(tick: Tick, event: dict) -> None:
    facts = detail(tick)
    for name in ("bid", "ask", "open", "high", "low", "volume"):
        if name in event:
            assert text(getattr(facts, name)) == event[name], name
    if tick.type is MessageType.BOOK:
        assert isinstance(facts, BookDetail)
        for name in ("bids", "asks"):
            levels = [[text(level.price), text(level.quantity)] for level in getattr(facts, name)]
            if isinstance(event.get(name), list):
                assert levels == event[name]
            elif name in event:
                assert len(levels) == event[name]
        if "changes" in event:
            assert len(facts.bids) + len(facts.asks) == event["changes"]
    if tick.type is MessageType.CANDLE:
        assert isinstance(facts, CandleDetail)
        assert text(facts.close) == event["price"]
        assert facts.start == at(event["start_ms"])
        if "interval" in event:
            assert facts.interval == event["interval"]
        assert facts.closed == event.get("closed")


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.id)
def test_data_is_the_frame_or_the_very_element_of_it(case: Recorded):
    frame = case.frame.decode()
    ticks = normalise(case.venue, case.frame, case.source, None)
    if len(ticks) == 1:
        assert ticks[0].data == frame
    for tick in ticks:
        assert tick.data in frame
        json.loads(tick.data)
    assert len({tick.data for tick in ticks}) == len(ticks)


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.id)
def test_other_spacing_and_order_of_fields_change_nothing(case: Recorded):
    def turned(value):
        if isinstance(value, dict):
            return {name: turned(inner) for name, inner in reversed(value.items())}
        return [turned(inner) for inner in value] if isinstance(value, list) else value

    frame = json.dumps(turned(json.loads(case.frame, parse_float=float)), indent=1).encode()
    for one, other in zip(
        normalise(case.venue, case.frame, case.source, None),
        normalise(case.venue, frame, case.source, None),
        strict=True,
    ):
        one.data = other.data
        assert one == other


def test_frames_of_a_stream_have_keys_of_their_own_and_repetitions_the_same():
    for case in RECORDED:
        first = normalise(case.venue, case.frame, case.source, None)
        again = normalise(case.venue, case.frame, case.source, None)
        assert [tick.key for tick in first] == [tick.key for tick in again]
    for venue in (Venue.OKX, Venue.COINBASE):
        keys = [
            tick.key
            for case in RECORDED
            if case.venue is venue
            for tick in normalise(venue, case.frame, case.source, None)
            if tick.key is not None
        ]
        assert len(keys) == len(set(keys))


def test_detail_is_read_back_as_the_type_it_belongs_to():
    kinds = {
        MessageType.TRADE: type(None),
        MessageType.TICKER: TickerDetail | type(None),
        MessageType.QUOTE: QuoteDetail,
        MessageType.BOOK: BookDetail,
        MessageType.CANDLE: CandleDetail,
    }
    for case in RECORDED:
        for tick in normalise(case.venue, case.frame, case.source, None):
            assert isinstance(detail(tick), kinds[tick.type])
