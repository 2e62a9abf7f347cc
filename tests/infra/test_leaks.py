"""Marked secrets planted everywhere in a running service are found nowhere but where they must be.

Everything is asked of the service that its schema has, things go wrong on purpose, a source echoes all it is sent; then
logs, answers, rows, mails and what commands print are searched for every mark, however it may be written.
"""

import asyncio
import base64
import email
import email.policy
import json
import re
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
import pyotp
from graphql import get_named_type
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.infra.everything import fields, result_of, selection
from tests.infra.marks import Marks, a_mark, forms
from tests.resolvers.world import echo
from tests.service import Service

NASTY = '/+%&="\\~'
COMMANDS = (("doctor",), ("keys", "status"), ("audit", "verify"))
_RUN = f"""
from infra.cli import app
for arguments in {COMMANDS}:
    try:
        app(list(arguments), prog_name="penstock")
    except SystemExit as end:
        print(*arguments, "ended with", end.code)
"""
QUERY_SIZE = {
    "max_query_depth": 30,
    "max_query_cost": 1_000_000_000,
    "cost_per_minute": 1_000_000_000,
    "max_query_tokens": 100_000,
    "max_query_aliases": 10_000,
    "max_root_fields": 1_000,
    "sign_ins_per_minute": 10_000,
}


class Closed(Service):
    """A service that nobody is signed in to from the beginning."""

    async def sign_in(self, user_id: UUID | None = None) -> str:
        return ""


class Client:
    """Asks, and keeps every answer to the letter."""

    def __init__(self, service: Service, marks: Marks) -> None:
        self.service = service
        self.marks = marks
        self.token = ""
        self.said: list[tuple[str, str]] = []
        self._http = httpx.AsyncClient(timeout=30)

    async def close(self) -> None:
        await self._http.aclose()

    async def post(self, place: str, token: str | None = None, **body: Any) -> Any:
        """An operation; its answer is kept as said in `place`."""
        token = self.token if token is None else token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        url = f"{self.service.url}/graphql"
        response = await self._http.post(url, json=body, headers=headers)
        self.said.append((place, f"{response.headers}\n{response.text}"))
        return response.json()

    async def do(self, mutation: str, **input: Any) -> dict[str, Any]:
        """A mutation; all it may return is asked for. The result's fields by their own names."""
        kind = mutation[0].upper() + mutation[1:]
        query = (
            f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {result_of(mutation)} }}"
        )
        answer = await self.post(mutation, query=query, variables={"input": input})
        result = (answer.get("data") or {}).get(mutation) or {}
        return {re.sub("^[A-Z][A-Za-z]*_", "", name): value for name, value in result.items()}

    async def ask_everything(self) -> None:
        """All that a query can show."""
        for name, field in fields("Query").items():
            query = f"{{ {name} {selection(get_named_type(field.type))} }}"
            answer = await self.post("query", query=query)
            if (
                "errors" in answer
            ):  # statements prepared before their tables were away are of no use any more
                answer = await self.post("query", query=query)
            assert answer["data"], (name, answer)
            assert "errors" not in answer, (name, answer["errors"])

    async def mailed(self, count: int) -> str:
        """The token in the newest mail, once there are so many."""
        async with asyncio.timeout(30):
            while len(mails := sorted(self.service._data_dir.glob("outbox/*.eml"))) < count:
                await asyncio.sleep(0.02)
        message = email.message_from_bytes(mails[-1].read_bytes(), policy=email.policy.default)
        found = re.findall(r"[A-Za-z0-9_-]{43}", message.get_content())
        assert found, message.get_content()
        return self.marks.add(f"mailed token {count}", found[0], allowed="mails")


@asynccontextmanager
async def marked(place: Path, database_url: str) -> AsyncIterator[tuple[Client, Path]]:
    """A service whose every secret setting is marked, and a client of it."""
    marks, key = Marks(), secrets.token_bytes(32)
    marks.add("encryption key", base64.b64encode(key).decode())
    marks.add("encryption key, raw", key.hex())
    settings = {
        "database_url": database_url.replace("postgres@", f"postgres:{marks.new('database')}@", 1),
        "encryption_keys": marks.values["encryption key"],
        "metrics_token": marks.new("metrics"),
        "demo_password": marks.new("demo"),
        "token_secret": marks.new("signing", "of at least 32 bytes"),
        "openid_providers": json.dumps(
            [
                {
                    "name": "elsewhere",
                    "discovery_url": "http://127.0.0.1:1/.well-known/openid-configuration",
                    "client_id": "penstock",
                    "client_secret": marks.new("openid", NASTY),
                }
            ]
        ),
        "public_url": "http://127.0.0.1:8000",
        "allow_private_addresses": True,
        "log_level": "TRACE",
        "slow_operation_ms": 1,
        **QUERY_SIZE,
    }
    async with Closed(place, **settings) as service:
        client = Client(service, marks)
        try:
            yield client, service.log
        finally:
            await client.close()


async def sign_in(client: Client, **more: Any) -> dict[str, Any]:
    session = await client.do("signIn", email="ada@example.com", **more)
    if "accessToken" in session:
        number = len(client.marks.values)
        client.marks.add(f"access token {number}", session["accessToken"], allowed="signIn")
        client.marks.add(f"refresh token {number}", session["refreshToken"], allowed="signIn")
        client.token = session["accessToken"]
    return session


async def come_in(client: Client) -> str:
    """Register, prove the address, sign in with a wrong and the right password; the password."""
    marks = client.marks
    password = marks.new("password", f"{NASTY}é")
    await client.do("register", email="ada@example.com", name="Ada", password=password)
    await client.do("register", email="bob@example.com", name="Bob", password=marks.new("x")[:9])
    token = await client.mailed(1)
    await client.do("verifyEmail", token=token)
    await client.do("verifyEmail", token=token)
    await client.do("verifyEmail", token=marks.new("bad-mail-token"))
    await client.do("register", email="ada@example.com", name="Ada", password=marks.new("again"))
    await sign_in(client, password=marks.new("wrong-password"))
    session = await sign_in(client, password=password)
    assert session["__typename"] == "Session", session
    await client.do("refreshSession", refreshToken=marks.new("bad-refresh"))
    await client.do("changePassword", oldPassword=marks.new("wrong-old"), newPassword=password)
    await client.post("query", token=marks.new("bad-token"), query="{ viewer { role } }")
    await client.post(
        "query", token=f"penstock_abcdefgh_{marks.new('key')}", query="{ viewer { role } }"
    )
    return password


async def enrol(client: Client, password: str) -> None:
    """Have a second factor, and sign in with it."""
    marks = client.marks
    enrolment = await client.do("enrolTotp", password=password)
    marks.add("totp", enrolment["secret"], allowed="enrolTotp")
    now = pyotp.TOTP(enrolment["secret"]).now()
    codes = await client.do("confirmTotp", totp=now)
    for number, code in enumerate(codes["codes"]):
        marks.add(f"recovery code {number}", code, allowed="confirmTotp")
    session = await sign_in(client, password=password, totp=codes["codes"][0])
    assert session["__typename"] == "Session", session


async def keep_secrets(client: Client) -> None:
    """Named secrets, well and badly given."""
    marks = client.marks
    await client.do("setSecret", name="main", value=marks.new("first-value"))
    await client.do("setSecret", name="main", value=marks.new("named", NASTY))
    await client.do("setSecret", name="long", value=marks.new("unused", '\n"é\0\x7f' * 1000))
    await client.do("setSecret", name="not a name", value=marks.new("badly-named"))
    await client.do("setSecret", name="long", value=marks.new("too-long") + "x" * 70_000)
    await client.do("setSecret", name="long", value=marks.new("stale"), expectedVersion=99)
    wrong = "mutation($input: SetSecretInput!) { setSecret(input: $input) { __typename } }"
    for variables in (
        {"input": {"name": 5, "value": marks.new("beside-a-fault")}},
        {"input": {"value": marks.new("without-a-name")}},
        {"input": {"name": "x", "value": [marks.new("in-a-list")]}},
        {"input": marks.new("as-the-input")},
    ):
        await client.post("setSecret", query=wrong, variables=variables)
    for literal in (
        f'{{name: "x", value: "{marks.new("in-the-document")}"}}',
        f'{{name: 5, value: "{marks.new("in-a-bad-document")}"}}',
        f'{{name: "x", value: "{marks.new("in-a-broken-document")}',
        f'{{name: "x", value: ["{marks.new("in-a-list-of-a-document")}"]}}',
    ):
        document = f"mutation {{ setSecret(input: {literal}) {{ __typename }} }}"
        await client.post("setSecret", query=document)


async def run_connectors(client: Client, echo_url: str, database_url: str) -> None:
    """Connectors that try, run, and fail with their secrets; the source shows all it was sent."""
    marks = client.marks
    own = {
        "bearerToken": marks.new("bearer", NASTY),
        "apiSecret": marks.new("api-secret"),
        "passphrase": marks.new("passphrase"),
        "password": marks.new("basic", NASTY),
        "headers": [{"name": "X-Key", "value": marks.new("header", NASTY)}],
    }
    references = [
        {"field": "apiKey", "secret": "main"},
        {"field": "headers.X-Named", "secret": "main"},
        {"field": "queryParameters.token", "secret": "main"},
    ]
    echoing = {
        "name": "Echo",
        "url": echo_url,
        "pollingIntervalMs": 100,
        "mapping": {
            "items": "@",
            "price": "price",
            "instrument": {"value": "X"},
            "type": {"value": "TICKER"},
        },
        "secretReferences": references,
        **own,
    }
    for auth in ("NONE", "API_KEY", "BEARER"):
        await client.do("testConnector", configuration={**echoing, "authType": auth})
    await client.do("testConnector", configuration={**echoing, "url": "http://127.0.0.1:1/x"})
    bad = {**echoing, "name": "Bad", "bearerToken": marks.new("line", "\r\nX: y")}
    await client.do("createConnector", **bad)
    made = await client.do("createConnector", **echoing, authType="BEARER")
    mapping = {**echoing["mapping"], "instrument": "sent"}
    held = await client.do("createConnector", **{**echoing, "name": "Held", "mapping": mapping})
    socket = {
        "name": "Away",
        "url": "ws://127.0.0.1:1/x",
        "mapping": None,
        "pollingIntervalMs": None,
    }
    away = await client.do("createConnector", **{**echoing, **socket})
    for connector in (made, held, away):
        if "id" in connector:
            await client.do("startConnector", id=connector["id"])
    assert made["__typename"] == "Connector", made
    await client.do("updateConnector", id=made["id"], password=marks.new("changed", NASTY))
    await until_rows(database_url, "select 1 from messages limit 1")
    await until_rows(database_url, "select 1 from quarantined_frames limit 1")
    await client.do("setSecret", name="main", value=marks.new("rotated-value", NASTY))
    used = "select 1 from audit_events where action = 'useSecret' and changes::text like '%\"after\": 3%'"
    await until_rows(database_url, used)
    await client.do("testConnector", id=made["id"])
    await client.do("deleteSecret", name="main")


async def go_wrong(client: Client, database_url: str) -> None:
    """Have the database fail beneath what holds secrets."""
    marks = client.marks
    tables = ("connectors", "secrets", "credentials", "api_keys")
    connection = await asyncpg.connect(database_url)
    for table in tables:
        await connection.execute(f"alter table {table} rename to {table}_away")
    try:
        await client.do("setSecret", name="other", value=marks.new("unkept", NASTY))
        given = {"name": "Other", "url": "https://example.com", "bearerToken": marks.new("unmade")}
        await client.do("createConnector", **given)
        await client.do("signIn", email="ada@example.com", password=marks.new("unproven"))
        await client.do(
            "changePassword", oldPassword=marks.new("old"), newPassword=marks.new("new")
        )
        key = f"penstock_abcdefgh_{marks.new('unknown-key')}"
        await client.post("query", token=key, query="{ viewer { role } }")
    finally:
        for table in tables:
            await connection.execute(f"alter table {table}_away rename to {table}")
        await connection.close()


async def listen(client: Client) -> None:
    """Follow what there is over a WebSocket, its token good and bad."""
    url = client.service.url.replace("http", "ws") + "/graphql"
    for token in (client.token, client.marks.new("bad-socket-token")):
        async with connect(url, subprotocols=["graphql-transport-ws"], max_size=None) as socket:
            try:
                async with asyncio.timeout(1.5):
                    await follow(client, socket, token)
            except (TimeoutError, ConnectionClosed) as ended:
                client.said.append(("socket", repr(ended)))


async def follow(client: Client, socket: Any, token: str) -> None:
    """Subscribe, and keep what is said until it ends."""
    hello = {"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}
    await socket.send(orjson.dumps(hello).decode())
    for number, root in enumerate(("connectorStatus", "messages")):
        type = get_named_type(fields("Subscription")[root].type)
        query = f"subscription {{ {root} {selection(type, 3)} }}"
        message = {"type": "subscribe", "id": str(number), "payload": {"query": query}}
        await socket.send(orjson.dumps(message).decode())
    async for text in socket:
        client.said.append(("socket", str(text)))


async def until_rows(database_url: str, query: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with asyncio.timeout(30):
            while not await connection.fetch(query):
                await asyncio.sleep(0.05)
    except TimeoutError:
        print(
            await connection.fetch(
                "select name, state, last_error from connector_status s join connectors c on c.id = s.connector_id"
            )
        )
        raise
    finally:
        await connection.close()


async def dump(database_url: str) -> str:
    """Every value of every row of every table, bytes as they are and as hexadecimal text."""
    connection = await asyncpg.connect(database_url)
    tables = await connection.fetch(
        "select quote_ident(relname) as name from pg_class c join pg_namespace n on n.oid = relnamespace"
        " where relkind in ('r', 'p') and nspname = 'public' and not relispartition"
    )
    texts = []
    for table in tables:
        for row in await connection.fetch(f"select * from {table['name']}"):
            for value in row.values():
                if isinstance(value, bytes):
                    texts += [value.decode("latin-1"), value.hex()]
                else:
                    texts.append(str(value))
    await connection.close()
    return "\n".join(texts)


async def run_commands(client: Client) -> None:
    """Keep what commands of the same settings print; one interpreter for all, as starting takes longest."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _RUN,
        env=client.service._environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    said = printed.decode()
    assert said.count("ended with") == len(COMMANDS), said
    client.said.append(("commands", said))


def written(place: Path) -> str:
    """All mails."""
    return "".join(file.read_text() for file in place.glob("outbox/*.eml"))


async def test_no_marked_secret_is_found_anywhere(place: Path, database_url: str):
    async with marked(place, database_url) as (client, log), echo() as echo_url:
        password = await come_in(client)
        made = await client.do(
            "createApiKey", name="program", permissions=["READ_DATA", "USE_SECRETS"]
        )
        client.marks.add("api key", made["key"], allowed="createApiKey")
        await keep_secrets(client)
        await run_connectors(client, echo_url, database_url)
        await client.post("query", token=made["key"], query="{ secrets { totalCount } }")
        await client.do("requestPasswordReset", email="ada@example.com")
        await client.mailed(3)
        await enrol(client, password)
        await go_wrong(client, database_url)
        exported = await client.do("exportMyData")
        assert exported["__typename"] == "PersonalData", exported
        await asyncio.gather(listen(client), client.ask_everything(), run_commands(client))
        metrics = await client._http.get(f"{client.service.url}/metrics")
        client.said.append(("metrics", metrics.text))
        rows = await dump(database_url)
        service = client.service
    spread = [*client.said, ("rows", rows), ("mails", written(place)), ("log", log.read_text())]
    assert len(client.marks.values) > 50
    assert "useSecret" in rows
    assert service.log == log
    found = [hit for where, text in spread for hit in client.marks.found(where, text)]
    assert not found, "\n".join(found[:30])


def test_a_mark_is_found_however_it_is_written():
    marks = Marks()
    mark = marks.new("mark", f"{NASTY}é\n")
    texts: Mapping[str, str] = {
        "raw": mark,
        "json": json.dumps({"x": [mark]}),
        "plain json": json.dumps({"x": mark}, ensure_ascii=False),
        "json in json": json.dumps(json.dumps(mark)),
        "python": repr({"x": mark}),
        "basic": base64.b64encode(f"user:{mark}".encode()).decode(),
        "url-safe": base64.urlsafe_b64encode(f"a{mark}b".encode()).decode(),
        "hex": f"\\x{mark.encode().hex()}ff",
        "query": str(httpx.QueryParams({"token": mark})),
        "url": str(httpx.URL("http://x/", params={"token": mark})),
    }
    for name, text in texts.items():
        assert marks.found(name, f"before {text} after"), name
    assert not marks.found("elsewhere", a_mark("mark"))
    assert all(len(form) >= 8 for form in forms(mark))
