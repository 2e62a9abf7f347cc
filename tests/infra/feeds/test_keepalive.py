import json

import pytest

from domain.connectors import Venue
from infra.feeds.keepalive import keepalive_of
from infra.feeds.socket import SocketOptions


def test_okx_is_pinged_within_its_30_seconds() -> None:
    assert keepalive_of(Venue.OKX).ping == "ping"
    assert SocketOptions().idle_seconds + SocketOptions().watch_seconds < 30


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (b"ping", "pong"),
        (b'{"ping":1492420473027}', '{"pong": 1492420473027}'),
        (b'{"op":"ping"}', '{"op": "pong"}'),
        (b'{"method":"ping","id":7}', '{"method": "pong", "id": 7}'),
        (b"pong", None),
        (b'{"event":"pong"}', None),
        (b'{"op":"pong"}', None),
    ],
)
def test_venue_pings_are_answered_in_their_own_form(frame: bytes, answer: str | None) -> None:
    keepalive = keepalive_of(Venue.CUSTOM)
    assert keepalive.speaks(frame)
    assert keepalive.answer(frame) == answer


@pytest.mark.parametrize(
    "frame",
    [
        b'{"s":"PINGUSDT","note":"ping"}',
        b'["ping"]',
        b"pinging",
        json.dumps({"op": "ping", "rest": "x" * 100}).encode(),
        b"\xff\xfeping",
    ],
)
def test_messages_are_no_keepalives(frame: bytes) -> None:
    assert not keepalive_of(Venue.OKX).speaks(frame)
