from typing import Any

from infra.parts import stored_statuses
from tests.resolvers.world import FACTS, VIEWER, World, created, uuid_of


async def names(world: World, **filter: Any) -> list[str]:
    data = await world.ask(
        "query($filter: ConnectorFilter) { connectors(filter: $filter) { totalCount edges { node { name } } } }",
        filter=filter,
    )
    found = [edge["node"]["name"] for edge in data["connectors"]["edges"]]
    assert data["connectors"]["totalCount"] == len(found)
    return found


async def test_connectors_are_found_by_each_condition(world: World):
    await created(world, name="Binance_trades", url="wss://stream.binance.com/ws")
    await created(world, name="okx", url="wss://ws.okx.com/ws")
    polled = await created(world, name="100% polled", url="https://api.example.com/prices")
    await world.do("startConnector", FACTS, id=polled)
    assert await names(world) == ["Binance_trades", "okx", "100% polled"]
    assert await names(world, search="OKX") == ["okx"]
    assert await names(world, search="example.com") == ["100% polled"]
    assert await names(world, search="0%") == ["100% polled"]
    assert await names(world, search="_") == ["Binance_trades"]
    assert await names(world, protocols=["REST"]) == ["100% polled"]
    assert await names(world, venues=["OKX", "BINANCE"]) == ["Binance_trades", "okx"]
    assert await names(world, states=["STARTING"]) == ["100% polled"]
    assert await names(world, enabled=False, protocols=["WEBSOCKET"], search="w") == [
        "Binance_trades",
        "okx",
    ]
    assert await names(world, protocols=[], states=[]) == ["Binance_trades", "okx", "100% polled"]


PAGE = """query($first: Int, $after: String, $last: Int, $before: String) {
  connectors(first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def test_connectors_page_both_ways(world: World):
    for number in range(7):
        await created(world, name=str(number))

    async def page(**arguments: Any) -> tuple[str, dict[str, Any]]:
        found = (await world.ask(PAGE, **arguments))["connectors"]
        return "".join(edge["node"]["name"] for edge in found["edges"]), found["pageInfo"]

    first, info = await page(first=3)
    assert (first, info["hasNextPage"], info["hasPreviousPage"]) == ("012", True, False)
    second, info = await page(first=3, after=info["endCursor"])
    assert (second, info["hasNextPage"], info["hasPreviousPage"]) == ("345", True, True)
    third, end = await page(first=3, after=info["endCursor"])
    assert (third, end["hasNextPage"]) == ("6", False)
    back, info = await page(last=2, before=end["startCursor"])
    assert (back, info["hasPreviousPage"]) == ("45", True)
    assert (await page(last=3))[0] == "456"
    assert (await page(first=0))[0] == ""
    assert (await page())[0] == "0123456"


BAD_PAGES: list[tuple[dict[str, Any], str]] = [
    ({"first": 1001}, "first"),
    ({"first": -1}, "first"),
    ({"last": 1001}, "last"),
    ({"first": 1, "last": 1}, "last"),
    ({"after": "nonsense"}, "after"),
    ({"before": "AAAA"}, "before"),
    ({"after": ""}, "after"),
    ({"after": "é"}, "after"),
]


async def test_a_bad_page_names_its_argument(world: World):
    for arguments, field in BAD_PAGES:
        refused = await world.refused(PAGE, **arguments)
        assert refused == {"code": "BAD_USER_INPUT", "field": field}


async def test_a_page_of_connectors_with_statuses_is_two_statements(world: World):
    for number in range(20):
        await created(world, name=str(number))
    world.database.statements.clear()
    await world.ask(
        "{ connectors { edges { node { name state status { state connector { name status { state } } } } } } }"
    )
    assert len(world.database.statements) <= 4
    world.database.statements.clear()
    await world.ask("{ connectors { edges { node { name state status { state } } } } }")
    assert len(world.database.statements) == 2


async def test_a_connector_whose_process_died_is_shown_and_found_as_inactive(world: World):
    for name, state, seconds in (("dead", "running", -1), ("alive", "running", 60)):
        await world.database.pool.execute(
            "update connector_status set state = $2, message_rate = 3, leased_by = $1,"
            " leased_until = now() + make_interval(secs => $3) where connector_id = $1",
            uuid_of(await created(world, name=name)),
            state,
            float(seconds),
        )
    waiting = await created(world, name="waiting")
    await world.do("startConnector", FACTS, id=waiting)
    data = await world.ask(
        "{ connectors { edges { node { name state status { state messageRate } } } } }"
    )
    shown = {
        node["name"]: (node["state"], node["status"]["state"], node["status"]["messageRate"])
        for node in (edge["node"] for edge in data["connectors"]["edges"])
    }
    assert shown == {
        "dead": ("INACTIVE", "INACTIVE", 0.0),
        "alive": ("RUNNING", "RUNNING", 3.0),
        "waiting": ("STARTING", "STARTING", 0.0),
    }
    clock = world.services.clock
    followed = await stored_statuses(world.services.databases, clock, VIEWER, None)
    assert sorted(status.state.name for status in followed) == ["INACTIVE", "RUNNING", "STARTING"]
    assert await names(world, states=["RUNNING"]) == ["alive"]
    assert await names(world, states=["INACTIVE"]) == ["dead"]
    assert await names(world, states=["STARTING", "INACTIVE"]) == ["dead", "waiting"]
