"""Connectors that refer to named secrets: which value a source gets, and when its use is written down."""

import json
from datetime import datetime
from typing import Any

import pytest

from domain.connectors import AuthType, Connector, ConnectorState
from domain.secrets import Secret, sealed
from infra.postgres.database import Database
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, NOW
from tests.infra.feeds.factories import Answer, Asked, Source, a_connector, a_source, an_exchange
from tests.infra.feeds.processes import VAULT, a_process, change, save, status, until
from tests.infra.feeds.test_runtime import on_and_on

TICKER = json.dumps({"e": "24hrTicker", "E": 1672515782136, "s": "BNBBTC", "c": "0.0025"}).encode()


def a_secret(value: str, name: str = "main", **values: Any) -> Secret:
    id = factories.new_id()
    facts = {
        "id": id,
        "workspace_id": HOME_WORKSPACE_ID,
        "name": name,
        "sealed": sealed(VAULT, id, value),
        "masked": "",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Secret(**facts | values)


async def set_anew(database: Database, secret: Secret, value: str) -> None:
    async with database.write() as session:
        stored = await session.get(Secret, secret.id)
        assert stored is not None
        stored.sealed, stored.version = sealed(VAULT, secret.id, value), stored.version + 1


async def delete(database: Database, secret: Secret) -> None:
    async with database.write() as session:
        stored = await session.get(Secret, secret.id)
        await session.delete(stored)


def a_poller(url: str, **changes: Any) -> Connector:
    return a_connector(
        url,
        **{
            "auth_type": AuthType.BEARER,
            "secret_references": {"bearerToken": "main", "headers.X-Key": "main"},
            **changes,
        },
    )


def answering(asked: Asked, source: Source) -> Answer:
    return 200, {}, TICKER


def sent(source: Source, value: str) -> Any:
    async def it_was() -> bool:
        headers = [asked.headers for asked in source.asked]
        return any(
            (one.get("authorization"), one.get("x-key")) == (f"Bearer {value}", value)
            for one in headers
        )

    return it_was


async def uses(database: Database) -> list[tuple[str, int, str]]:
    """Who was written down to use which version of a secret for which connector."""
    rows = await database.pool.fetch(
        "select subject_id, user_id, workspace_id, request_id, changes from audit_events"
        " where action = 'useSecret' order by id"
    )
    found = []
    for row in rows:
        assert row["user_id"] is None
        assert row["workspace_id"] == HOME_WORKSPACE_ID
        assert row["request_id"].startswith("ingest ")
        facts = {change["field"]: change["after"] for change in json.loads(row["changes"])}
        assert facts["host"] == "127.0.0.1"
        found.append((row["subject_id"], facts["version"], facts["connector"]))
    return found


async def test_a_source_gets_the_secret_and_a_new_value_at_once_each_use_written_down_once(
    database: Database,
) -> None:
    secret = a_secret("first-value")
    await factories.save(database, secret)
    async with a_source(answering) as source:
        polling = await save(database, a_poller(source.url))
        async with a_process(database):
            await until(sent(source, "first-value"))
            asked = len(source.asked)
            await until(lambda: _more(source, asked + 2))
            assert await uses(database) == [(str(secret.id), 1, str(polling.id))]
            await set_anew(database, secret, "second-value")
            await until(sent(source, "second-value"))
            seen = len(source.asked)
            await until(lambda: _more(source, seen + 1))
            assert source.asked[-1].headers["x-key"] == "second-value"
        assert [version for _, version, _ in await uses(database)] == [1, 2]
        async with database.read() as session:
            stored = await session.get(Secret, secret.id)
            assert stored is not None
            assert stored.last_used_at is not None
        before = len(source.asked)
        async with a_process(database):
            await until(lambda: _more(source, before + 1))
        assert [version for _, version, _ in await uses(database)] == [1, 2, 2]


async def test_a_reader_that_keeps_failing_is_not_a_use_each_time(database: Database) -> None:
    await factories.save(database, a_secret("value"))
    async with an_exchange(on_and_on) as exchange:
        broken = a_connector(
            exchange.url,
            auth_type=AuthType.HMAC,
            signing={"x": 1},
            secret_references={"apiKey": "main", "apiSecret": "main"},
        )
        await save(database, broken)
        async with a_process(database):
            await until(lambda: _is(database, broken, ConnectorState.ERROR))
            first = (await status(database, broken)).last_error_at
            await until(lambda: _failed_since(database, broken, first))
        assert len(await uses(database)) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "secretReferences.bearerToken refers to main, which does not exist"),
        ("line\r\nInjected: header", "bearerToken must be printable ASCII"),
        (b"sealed by nobody", "refers to main, which no key of the ring opens"),
    ],
)
async def test_a_secret_that_cannot_be_used_is_told_until_it_is_mended(
    database: Database, value: str | bytes | None, said: str
) -> None:
    secret = a_secret("unused") if value is None or isinstance(value, bytes) else a_secret(value)
    if isinstance(value, bytes):
        secret.sealed = value
    if value is not None:
        await factories.save(database, secret)
    async with a_source(answering) as source:
        polling = await save(database, a_poller(source.url))
        async with a_process(database):
            await until(lambda: _is(database, polling, ConnectorState.ERROR))
            assert said in ((await status(database, polling)).last_error or "")
            assert source.asked == []
            assert await uses(database) == []
            if value is None:
                await factories.save(database, a_secret("mended"))
            else:
                await set_anew(database, secret, "mended")
            await until(sent(source, "mended"))


async def test_a_secret_deleted_by_force_is_not_used_any_more(database: Database) -> None:
    secret = a_secret("value")
    await factories.save(database, secret)
    async with a_source(answering) as source:
        polling = await save(database, a_poller(source.url))
        async with a_process(database):
            await until(sent(source, "value"))
            await delete(database, secret)
            await until(lambda: _is(database, polling, ConnectorState.ERROR))
            asked = len(source.asked)
            await change(database, polling, version=2)
            await until(lambda: _is(database, polling, ConnectorState.ERROR))
            assert len(source.asked) == asked


async def test_a_secret_of_the_same_name_elsewhere_is_another(database: Database) -> None:
    there = factories.workspace()
    await factories.save(database, there)
    await factories.save(database, a_secret("theirs", workspace_id=there.id), a_secret("ours"))
    async with a_source(answering) as source:
        await save(database, a_poller(source.url))
        async with a_process(database):
            await until(sent(source, "ours"))
        assert {asked.headers["x-key"] for asked in source.asked} == {"ours"}


async def _is(database: Database, of: Connector, state: ConnectorState) -> bool:
    return (await status(database, of)).state is state


async def _failed_since(database: Database, of: Connector, moment: datetime | None) -> bool:
    failed_at = (await status(database, of)).last_error_at
    return moment is not None and failed_at is not None and failed_at > moment


async def _more(source: Source, count: int) -> bool:
    return len(source.asked) >= count
