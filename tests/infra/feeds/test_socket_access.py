import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from domain.connectors import AuthType, ConnectorState, Secrets, Venue
from infra.feeds.guard import Guard
from tests.infra.feeds.factories import (
    Exchange,
    a_connector,
    an_exchange,
    eventually,
    reading,
    trade_by_trade,
)


async def test_loopback_is_refused_before_a_single_byte_is_sent() -> None:
    async with (
        an_exchange(trade_by_trade) as exchange,
        reading(a_connector(exchange.url), guard=Guard()) as read,
    ):
        await eventually(lambda: read.keeper.state is ConnectorState.ERROR)
    assert exchange.connections == []
    assert "may not reach" in (read.keeper.last_error or "")


async def test_a_name_that_is_rebound_after_the_check_does_not_matter() -> None:
    answers = iter([["127.0.0.1"]])

    async def once(host: str, port: int) -> list[str]:
        return next(answers, ["192.0.2.1"])

    async with an_exchange(trade_by_trade) as exchange:
        url = exchange.url.replace("127.0.0.1", "feed.example")
        guard = Guard(allow_private=True, resolve=once)
        async with reading(a_connector(url), guard=guard) as read:
            await read.shelf.wait_for(3)
        request = exchange.connections[0].request
        assert request is not None
        assert request.headers["Host"] == url.removeprefix("ws://")


async def test_redirects_to_another_host_are_not_followed() -> None:
    async with an_exchange(trade_by_trade) as inner:

        def redirect(connection: ServerConnection, request: Request) -> Response:
            response = connection.respond(302, "over there")
            response.headers["Location"] = inner.url
            return response

        async with (
            an_exchange(process_request=redirect) as outer,
            reading(a_connector(outer.url)) as read,
        ):
            await eventually(lambda: read.keeper.last_error)
        assert inner.connections == []


async def test_secret_headers_and_parameters_reach_the_source_and_no_error() -> None:
    secrets = Secrets(
        bearer_token="token-12345", headers={"X-Team": "team-12345"}, query_parameters={"k": "v&12"}
    )

    async def tell(connection: ServerConnection, exchange: Exchange) -> None:
        await connection.send('{"error":{"msg":"token-12345 of team-12345 is bad"}}')

    async with an_exchange(tell) as exchange:
        connector = a_connector(f"{exchange.url}/ws?a=1", auth_type=AuthType.BEARER)
        async with reading(connector, secrets) as read:
            await eventually(lambda: read.keeper.last_error)
        request = exchange.connections[0].request
    assert request is not None
    assert request.path == "/ws?a=1&k=v%2612"
    assert request.headers["Authorization"] == "Bearer token-12345"
    assert request.headers["X-Team"] == "team-12345"
    assert "the source says" in (read.keeper.last_error or "")
    assert "12345" not in (read.keeper.last_error or "")


async def test_okx_subscriptions_wait_for_the_login() -> None:
    async def login(connection: ServerConnection, exchange: Exchange) -> None:
        await eventually(lambda: len(exchange.heard[0]) == 1)
        assert '"op":"login"' in exchange.heard[0][0]
        await asyncio.sleep(0.1)
        assert len(exchange.heard[0]) == 1
        await connection.send('{"event":"login","code":"0","msg":""}')

    connector_facts = {
        "venue": Venue.OKX,
        "auth_type": AuthType.HMAC,
        "subscribe_frames": ['{"op":"subscribe"}'],
    }
    secrets = Secrets(api_key="k", api_secret="s", passphrase="p")
    async with (
        an_exchange(login) as exchange,
        reading(a_connector(exchange.url, **connector_facts), secrets),
    ):
        await eventually(lambda: len(exchange.heard[0]) == 2 if exchange.heard else False)
        assert exchange.heard[0][1] == '{"op":"subscribe"}'


async def test_a_refused_login_is_an_error() -> None:
    async def refuse(connection: ServerConnection, exchange: Exchange) -> None:
        await connection.send('{"event":"error","code":"60009","msg":"Login failed."}')

    secrets = Secrets(api_key="k", api_secret="s", passphrase="p")
    async with an_exchange(refuse) as exchange:
        connector = a_connector(exchange.url, venue=Venue.OKX, auth_type=AuthType.HMAC)
        async with reading(connector, secrets) as read:
            await eventually(lambda: read.keeper.state is ConnectorState.ERROR)
    assert read.keeper.last_error == "the login was refused: Login failed."


async def test_tls_asks_for_the_host_by_name_at_the_checked_address(tmp_path: Path) -> None:
    server_tls, client_tls = certificates("feed.example", tmp_path)

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with an_exchange(trade_by_trade, ssl=server_tls) as exchange:
        guard = Guard(allow_private=True, resolve=resolve, tls=lambda: client_tls)
        url = exchange.url.replace("127.0.0.1", "feed.example")
        async with reading(a_connector(url), guard=guard) as read:
            await read.shelf.wait_for(3)
        other = exchange.url.replace("127.0.0.1", "other.example")
        async with reading(a_connector(other), guard=guard) as read:
            await eventually(lambda: read.keeper.state is ConnectorState.ERROR)
    assert "certificate is not valid" in (read.keeper.last_error or "")


def certificates(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Settings of a server that is `name`, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "server.pem"
    file.write_bytes(secret + pem)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())
