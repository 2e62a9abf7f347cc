import asyncpg

from domain.connectors import Venue
from domain.messages import CannotNormalise
from infra.feeds.venues import normalise
from infra.feeds.venues.wire import nests_too_deeply

ODD = [
    b'{"a":"\\u0000"}',
    b'{"a":"\\ud83d\\ude00"}',
    b'{"a":"\\ud83d"}',
    b'{"a":"\\ude00\\ud83d"}',
    b'{"a":1e999999999,"a":-0.0}',
    b'{"a":' + b"9" * 100_000 + b"}",
    b'"\x7f\xc2\x80\xef\xbf\xbf"',
    b'{"":{"":[[],{},"",null,true]}}',
    b"\r\n\t [1 , 2]\n",
    b"[" * 850 + b"]" * 850,
    b"[" * 950 + b"]" * 950,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"[[],[" * 3000 + b"]]" * 3000,
]


async def test_what_is_not_refused_can_be_stored_as_json(server_url):
    connection = await asyncpg.connect(server_url)
    stored = 0
    try:
        for frame in ODD:
            try:
                (tick,) = normalise(Venue.CUSTOM, frame, "wss://feed.example.com", None)
            except CannotNormalise:
                continue
            assert (
                await connection.fetchval("select ($1::text)::json::text", tick.data) == tick.data
            )
            stored += 1
    finally:
        await connection.close()
    assert stored >= 6


def test_depth_is_judged_whatever_the_interpreter_allows():
    assert nests_too_deeply(b'{"a":' * 1100 + b"1" + b"}" * 1100)
    assert nests_too_deeply(b"[1," * 1100 + b"1" + b"]" * 1100)
    assert not nests_too_deeply(b"[" + b",".join([b"[1]"] * 5000) + b"]")
    assert not nests_too_deeply(b'"' + b"[" * 5000 + b'"')
