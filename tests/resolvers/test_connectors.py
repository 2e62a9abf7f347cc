import asyncio
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlmodel import col

from domain.connectors import Connector, ConnectorState, open_secrets, registry
from infra.system import SystemClock
from tests import factories
from tests.factories import HOME_WORKSPACE_ID
from tests.resolvers.world import (
    FACTS,
    FAULT,
    URL,
    World,
    connector_id,
    create,
    created,
    living,
    uuid_of,
)
from tests.tenants import a_tenant


async def secrets_of(world: World, id: str) -> Any:
    async with world.database.read() as session:
        connector = await session.scalar(select(Connector).where(col(Connector.id) == uuid_of(id)))
    return open_secrets(world.services.vault, connector)


async def test_a_new_connector_has_its_defaults_and_a_status(world: World):
    connector = await create(world, url="https://api.binance.com/api/v3/ticker/price")
    assert (
        connector.items()
        >= {
            "__typename": "Connector",
            "name": "Prices",
            "protocol": "REST",
            "venue": "BINANCE",
            "enabled": False,
            "state": "INACTIVE",
            "method": "GET",
            "pollingIntervalMs": 5000,
            "subscribeFrames": [],
            "staleAfterMs": 30000,
            "mapping": None,
            "authType": "NONE",
            "secretFields": [],
            "version": 1,
        }.items()
    )
    assert connector["createdAt"] == connector["updatedAt"]
    assert connector["status"]["connector"] == {"name": "Prices"}
    assert connector["status"]["connectorId"] == connector["id"]


async def test_all_of_a_connector_can_be_given(world: World):
    connector = await create(
        world,
        venue="CUSTOM",
        subscribeFrames=['{"op":"subscribe"}'],
        staleAfterMs=500,
        mapping={"instrument": "s", "price": "p"},
        authType="HMAC",
        signing={"template": "{timestamp}{path}"},
        apiKey="key-1",
        apiSecret="secret-1",
        headers=[{"name": "X-Team", "value": "blue"}],
        queryParameters=[{"name": "token", "value": "t-1"}],
    )
    assert connector["__typename"] == "Connector", connector
    assert connector["mapping"] == {"instrument": "s", "price": "p"}
    assert connector["signing"] == {"template": "{timestamp}{path}"}
    fields = ["apiKey", "apiSecret", "headers.X-Team", "queryParameters.token"]
    assert connector["secretFields"] == fields
    secrets = await secrets_of(world, connector["id"])
    assert (secrets.api_key, secrets.headers) == ("key-1", {"X-Team": "blue"})


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"name": " "}, "name"),
    ({"url": "ftp://example.com"}, "url"),
    ({"pollingIntervalMs": 100}, "pollingIntervalMs"),
    ({"staleAfterMs": 1}, "staleAfterMs"),
    ({"authType": "BEARER"}, "bearerToken"),
    ({"mapping": {"price": "]["}}, "mapping.price"),
    ({"mapping": [1]}, "mapping"),
    ({"authType": "HMAC", "apiKey": "k", "apiSecret": "s", "signing": {"x": 1}}, "signing.x"),
    ({"headers": [{"name": "A B", "value": "v"}]}, "headers"),
    ({"headers": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}, "headers"),
    ({"subscribeFrames": ["\x00"]}, "subscribeFrames.0"),
]


async def test_a_connector_that_cannot_be_is_refused_by_field(world: World):
    for values, field in INVALID:
        refused = await create(world, **values)
        assert refused["__typename"] == "InvalidInput", values
        assert (refused["field"], refused["code"]) == (field, "INVALID_INPUT")
        assert refused["message"] == f"{field} {refused['reason']}"
    assert (await world.ask("{ connectors { totalCount } }"))["connectors"]["totalCount"] == 0


async def test_a_name_is_taken_once_in_a_workspace(world: World):
    await created(world)
    refused = await world.do(
        "createConnector", "... on ConnectorNameTaken { name }", name=" Prices ", url=URL
    )
    assert refused == {
        "__typename": "ConnectorNameTaken",
        "name": "Prices",
        "code": "CONNECTOR_NAME_TAKEN",
        "message": "Another connector is named Prices already.",
    }
    other = await created(world, name="Other")
    renamed = await world.do("updateConnector", FACTS, id=other, name="Prices")
    assert renamed["__typename"] == "ConnectorNameTaken"


async def test_two_at_once_cannot_take_the_same_name(world: World):
    results = await asyncio.gather(*(create(world) for _ in range(4)))
    assert sorted(result["__typename"] for result in results) == [
        "Connector",
        *["ConnectorNameTaken"] * 3,
    ]


async def test_a_workspace_has_a_limit_even_for_two_at_once(world: World, monkeypatch):
    monkeypatch.setattr(registry, "CONNECTOR_LIMIT", 2)
    await created(world, name="1")
    results = await asyncio.gather(*(create(world, name=name) for name in "234"))
    kinds = sorted(result["__typename"] for result in results)
    assert kinds == ["Connector", "ConnectorLimitReached", "ConnectorLimitReached"]
    refused = await world.do(
        "createConnector", "... on ConnectorLimitReached { limit }", name="5", url=URL
    )
    assert (refused["limit"], refused["code"]) == (2, "CONNECTOR_LIMIT_REACHED")


async def test_a_source_off_limits_is_refused(database_url: str):
    async with living(database_url, allow_private=False) as world:
        for url in (
            "http://127.0.0.1:8000/",
            "ws://localhost/ws",
            "http://[::1]/",
            "http://10.0.0.1/",
        ):
            refused = await world.do(
                "createConnector", "... on AddressRefused { host }" + FAULT, name="x", url=url
            )
            assert refused["__typename"] == "AddressRefused", (url, refused)
            assert refused["host"] in url
        refused = await world.do(
            "testConnector", FAULT, configuration={"name": "x", "url": "http://127.0.0.1/"}
        )
        assert refused["__typename"] == "AddressRefused"
        id = await created(world, url="https://stream.example.invalid/")
        refused = await world.do("updateConnector", FAULT, id=id, url="http://127.0.0.1/")
        assert refused["code"] == "ADDRESS_REFUSED"


async def test_an_update_changes_what_it_names_and_nothing_else(world: World):
    id = await created(world, subscribeFrames=["a"], apiKey="key-1", authType="API_KEY")
    before = await world.do("updateConnector", FACTS, id=id, staleAfterMs=1000)
    after = await world.do("updateConnector", FACTS, id=id, name="Renamed", subscribeFrames=[])
    assert after == {
        **before,
        "name": "Renamed",
        "subscribeFrames": [],
        "version": 3,
        "updatedAt": after["updatedAt"],
        "status": {**before["status"], "connector": {"name": "Renamed"}},
    }
    assert after["updatedAt"] > before["updatedAt"]
    assert world.changes.told == [uuid_of(id)] * 2


async def test_secrets_merge_field_by_field(world: World):
    id = await created(
        world,
        apiKey="key-1",
        apiSecret="secret-1",
        headers=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    )
    changed = await world.do(
        "updateConnector",
        FACTS,
        id=id,
        apiSecret=None,
        bearerToken="token-1",
        headers=[{"name": "B", "value": None}, {"name": "C", "value": "3"}],
    )
    assert changed["secretFields"] == ["apiKey", "bearerToken", "headers.A", "headers.C"]
    secrets = await secrets_of(world, id)
    assert (secrets.api_key, secrets.api_secret, secrets.bearer_token) == ("key-1", None, "token-1")
    assert secrets.headers == {"A": "1", "C": "3"}
    changed = await world.do("updateConnector", FACTS, id=id, headers=None, apiKey=None)
    assert changed["secretFields"] == ["bearerToken"]
    changed = await world.do("updateConnector", FACTS, id=id, bearerToken=None)
    assert changed["secretFields"] == []


async def test_a_secret_that_authentication_needs_cannot_be_cleared(world: World):
    id = await created(world, apiKey="key-1", authType="API_KEY")
    refused = await world.do("updateConnector", FAULT, id=id, apiKey=None)
    assert refused["field"] == "apiKey"
    assert (await secrets_of(world, id)).api_key == "key-1"


ELSEWHERE = ("wss://evil.example/ws", "ws://stream.example.com/ws", URL.replace("/ws", ":8443/ws"))


async def test_secrets_go_to_no_other_host_than_they_were_given_for(world: World):
    headers = [{"name": "X-A", "value": "1"}, {"name": "X-B", "value": "2"}]
    id = await created(world, authType="API_KEY", apiKey="key-1", apiSecret="s", headers=headers)
    given = {"apiSecret": None, "headers": [{"name": "X-B", "value": "3"}]}
    for url in ELSEWHERE:
        for mutation, input in (
            ("updateConnector", {"id": id, "url": url, **given}),
            ("testConnector", {"changes": {"id": id, "url": url, **given}}),
        ):
            refused = await world.do(mutation, FAULT, **input)
            assert (refused["__typename"], refused["field"]) == ("InvalidInput", "url")
            assert refused["reason"].endswith("clear them: apiKey, headers.X-A")
    assert (await secrets_of(world, id)).api_secret == "s"
    same = URL.replace(".com/ws", ".com:443/other")
    assert (await world.do("updateConnector", FACTS, id=id, url=same))["url"] == same


async def test_secrets_given_again_go_to_the_new_host(world: World):
    id = await created(world, apiKey="key-1", headers=[{"name": "X-A", "value": "1"}])
    changed = await world.do(
        "updateConnector", FACTS, id=id, url=ELSEWHERE[0], apiKey="key-2", headers=None
    )
    assert (changed["url"], changed["secretFields"]) == (ELSEWHERE[0], ["apiKey"])


async def test_a_new_url_brings_its_protocol_and_venue_unless_one_was_given(world: World):
    id = await created(world, url="wss://ws.okx.com/ws")
    changed = await world.do(
        "updateConnector", FACTS, id=id, url="https://api.binance.com/api/v3/ticker/price"
    )
    facts = (changed["protocol"], changed["venue"], changed["pollingIntervalMs"])
    assert facts == ("REST", "BINANCE", 5000)
    await world.do("updateConnector", FACTS, id=id, venue="OKX")
    changed = await world.do("updateConnector", FACTS, id=id, url="wss://stream.binance.com/ws")
    assert (changed["venue"], changed["pollingIntervalMs"]) == ("OKX", None)
    changed = await world.do("updateConnector", FACTS, id=id, venue=None)
    assert changed["venue"] == "BINANCE"


async def test_an_update_of_nothing_is_refused(world: World):
    id = await created(world)
    refused = await world.do("updateConnector", FAULT, id=id, expectedVersion=1)
    assert (refused["__typename"], refused["code"]) == ("NoFieldsToUpdate", "NO_FIELDS_TO_UPDATE")


async def test_an_update_of_a_version_that_is_past_is_refused(world: World):
    id = await created(world)
    await world.do("updateConnector", FACTS, id=id, name="Second", expectedVersion=1)
    refused = await world.do(
        "updateConnector",
        "... on StaleVersion { expected actual }",
        id=id,
        name="Third",
        expectedVersion=1,
    )
    assert (refused["expected"], refused["actual"]) == (1, 2)
    assert refused["code"] == "STALE_VERSION"


async def test_of_two_updates_of_one_version_one_is_stale(world: World):
    id = await created(world)
    results = await asyncio.gather(
        *(
            world.do("updateConnector", FACTS, id=id, staleAfterMs=number, expectedVersion=1)
            for number in (1000, 2000)
        )
    )
    assert sorted(result["__typename"] for result in results) == ["Connector", "StaleVersion"]


async def test_an_update_with_a_bad_value_changes_nothing(world: World):
    id = await created(world)
    refused = await world.do("updateConnector", FAULT, id=id, name="New", staleAfterMs=5)
    assert refused["field"] == "staleAfterMs"
    data = await world.ask("{ connectors { edges { node { name version } } } }")
    assert data["connectors"]["edges"] == [{"node": {"name": "Prices", "version": 1}}]
    assert world.changes.told == []


async def test_what_must_be_cannot_be_nulled(world: World):
    id = await created(world)
    for name in ("name", "url", "method", "authType", "staleAfterMs"):
        _, errors = await world.answer(
            "mutation($input: UpdateConnectorInput!) { updateConnector(input: $input) { __typename } }",
            input={"id": id, name: None},
        )
        assert len(errors) == 1, name


UNKNOWN = [connector_id(UUID(int=1)), "nonsense", "TWVzc2FnZTox", ""]


async def test_an_unknown_connector_is_a_result(world: World):
    for mutation, id in product(("update", "delete", "start", "stop", "test"), UNKNOWN):
        values = {"name": "x"} if mutation == "update" else {}
        refused = await world.do(
            f"{mutation}Connector", "... on ConnectorNotFound { id }", id=id, **values
        )
        assert refused == {
            "__typename": "ConnectorNotFound",
            "id": id,
            "code": "CONNECTOR_NOT_FOUND",
            "message": "There is no connector with this id.",
        }


async def test_a_connector_of_another_workspace_is_not_there(world: World):
    elsewhere = await a_tenant(world.database)
    theirs = factories.connector(workspace_id=elsewhere.workspace_id)
    key = theirs.id
    await factories.save(world.database, theirs)
    for mutation in ("deleteConnector", "startConnector", "stopConnector", "testConnector"):
        refused = await world.do(mutation, "", id=connector_id(key))
        assert refused["__typename"] == "ConnectorNotFound"
    document = "query($id: ID!) { node(id: $id) { id } connectors { totalCount } }"
    mine = await world.ask(document, id=connector_id(key))
    assert mine == {"node": None, "connectors": {"totalCount": 0}}
    theirs_ = await world.ask(document, elsewhere, id=connector_id(key))
    assert theirs_["connectors"] == {"totalCount": 1}
    assert theirs_["node"] == {"id": connector_id(key)}


async def test_a_connector_is_started_and_stopped(world: World):
    id = await created(world)
    started = await world.do("startConnector", FACTS, id=id)
    assert (started["enabled"], started["state"], started["version"]) == (True, "STARTING", 1)
    again = await world.do("startConnector", FACTS, id=id)
    assert again == started
    stopped = await world.do("stopConnector", FACTS, id=id)
    assert (stopped["enabled"], stopped["state"]) == (False, "STOPPED")
    assert stopped["status"]["since"] > started["status"]["since"]
    assert await world.do("stopConnector", FACTS, id=id) == stopped
    assert set(world.changes.told) == {uuid_of(id)}


async def test_the_process_that_runs_a_connector_says_itself_when_it_stopped(world: World):
    id = await created(world)
    await world.do("startConnector", FACTS, id=id)
    status = await world.status(uuid_of(id))
    status.state, status.leased_by = ConnectorState.RUNNING, uuid4()
    status.leased_until = SystemClock().now() + timedelta(seconds=5)
    async with world.database.write() as session:
        await session.merge(status)
    stopped = await world.do("stopConnector", FACTS, id=id)
    assert (stopped["enabled"], stopped["state"]) == (False, "RUNNING")


async def test_a_deleted_connector_is_gone_with_its_status(world: World):
    id = await created(world, apiKey="key-1")
    deleted = await world.do("deleteConnector", "... on DeletedConnector { id name }", id=id)
    assert deleted == {"__typename": "DeletedConnector", "id": id, "name": "Prices"}
    assert await world.status(uuid_of(id)) is None
    assert (await world.ask("query($id: ID!) { node(id: $id) { id } }", id=id))["node"] is None
    assert world.changes.told == [uuid_of(id)]
    await created(world)


async def test_the_home_workspace_is_the_viewers(world: World):
    id = await created(world)
    async with world.database.read() as session:
        connector = await session.scalar(select(Connector).where(col(Connector.id) == uuid_of(id)))
    assert connector.workspace_id == HOME_WORKSPACE_ID
