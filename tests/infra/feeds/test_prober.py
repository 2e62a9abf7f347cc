import asyncio
import json

from websockets.asyncio.server import ServerConnection

from domain.connectors import AuthType, Connector, Secrets, Venue
from domain.messages import ProbeResult
from infra.feeds.budget import RateBudget
from infra.feeds.guard import Guard
from infra.feeds.prober import FeedProber
from infra.feeds.venues import normalise
from infra.system import SystemClock
from tests.infra.feeds.factories import (
    POLL,
    SOCKET,
    Answer,
    Asked,
    Exchange,
    Source,
    a_connector,
    a_source,
    a_trade,
    an_exchange,
)


async def probe(
    connector: Connector, secrets: Secrets | None = None, guard: Guard | None = None
) -> ProbeResult:
    prober = FeedProber(
        guard or Guard(allow_private=True),
        RateBudget(),
        normalise,
        SystemClock(),
        frame_limit=10_000,
        probe_seconds=0.5,
        socket=SOCKET,
        poll=POLL,
    )
    return await prober.probe(connector, secrets or Secrets())


async def test_the_first_message_of_a_socket_is_shown_raw_and_understood() -> None:
    async def acknowledge(connection: ServerConnection, exchange: Exchange) -> None:
        while not exchange.heard[0]:
            await asyncio.sleep(0.005)
        await connection.send('{"result":null,"id":1}')
        await connection.send(a_trade(7))

    async with an_exchange(acknowledge) as exchange:
        result = await probe(a_connector(exchange.url, subscribe_frames=['{"id":1}']))
    assert result.ok
    assert result.error is None
    assert result.frame == a_trade(7)
    assert [tick.sequence for tick in result.ticks] == ["7"]
    assert result.duration_ms > 0


async def test_an_answer_is_shown_raw_and_understood() -> None:
    body = json.dumps({"symbol": "LTCBTC", "price": "4.0"}).encode()
    async with a_source(lambda asked, source: (200, {}, body)) as source:
        result = await probe(a_connector(f"{source.url}/api/v3/ticker/price"))
    assert result.ok
    assert result.frame == body
    assert [tick.instrument for tick in result.ticks] == ["LTC-BTC"]


async def test_a_frame_that_is_not_understood_is_shown_with_the_reason() -> None:
    async def rubbish(connection: ServerConnection, exchange: Exchange) -> None:
        await connection.send("rubbish")

    async with an_exchange(rubbish) as exchange:
        result = await probe(a_connector(exchange.url))
    assert not result.ok
    assert result.frame == b"rubbish"
    assert "not understood" in (result.error or "")


async def test_silence_is_told_apart_from_no_connection() -> None:
    async with an_exchange() as exchange:
        silent = await probe(a_connector(exchange.url))
    closed = await probe(a_connector(exchange.url))
    assert silent.error == "connected, but no message came within 0.5 s"
    assert "cannot connect" in (closed.error or "")


async def test_errors_are_explained_without_secrets() -> None:
    def refuse(asked: Asked, source: Source) -> Answer:
        return 401, {}, f"bad {asked.headers['authorization']}".encode()

    async with a_source(refuse) as source:
        connector = a_connector(source.url, auth_type=AuthType.BEARER)
        result = await probe(connector, Secrets(bearer_token="token-12345"))
    assert not result.ok
    assert "HTTP status 401" in (result.error or "")
    assert "12345" not in (result.error or "")


async def test_a_refused_login_and_a_missing_secret_are_explained() -> None:
    async def refuse(connection: ServerConnection, exchange: Exchange) -> None:
        await connection.send('{"event":"error","msg":"Login failed."}')

    async with an_exchange(refuse) as exchange:
        connector = a_connector(exchange.url, venue=Venue.OKX, auth_type=AuthType.HMAC)
        refused = await probe(connector, Secrets(api_key="k", api_secret="s", passphrase="p"))
        missing = await probe(connector)
    assert refused.error == "the login was refused: Login failed."
    assert missing.error == "api_key is not set"


async def test_private_addresses_are_refused() -> None:
    result = await probe(a_connector("http://127.0.0.1:9/"), guard=Guard())
    assert result.error == "127.0.0.1 leads to an address that connectors may not reach"


async def test_an_answer_past_the_limit_is_an_error() -> None:
    async with a_source(lambda asked, source: (200, {}, b" " * 200_000)) as source:
        result = await probe(a_connector(source.url))
    assert "larger than the limit" in (result.error or "")
    assert len(result.frame or b"") == 10_000
