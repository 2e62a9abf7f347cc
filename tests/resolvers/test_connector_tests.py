from tests.resolvers.world import TEST, URL, World, created, echo


async def test_a_test_shows_what_comes_and_stores_nothing(world: World):
    mapping = {"instrument": {"value": "BTC-USD"}, "price": "price"}
    async with echo() as url:
        seen = await world.do(
            "testConnector", TEST, configuration={"name": "x", "url": url, "mapping": mapping}
        )
        assert seen["ok"], seen
        assert seen["messageCount"] == 1
        assert seen["messages"][0].items() >= {"instrument": "BTC-USD", "price": "1.5"}.items()
        assert seen["frame"].startswith('{"price":"1.5"')
        id = await created(world, url=url, mapping=mapping)
        assert (await world.do("testConnector", TEST, id=id))["ok"]
        changes = {"id": id, "mapping": {**mapping, "instrument": {"value": "ETH-USD"}}}
        seen = await world.do("testConnector", TEST, changes=changes)
        assert seen["messages"][0]["instrument"] == "ETH-USD"
    data = await world.ask("{ messages { totalCount } connectors { edges { node { version } } } }")
    assert data == {
        "messages": {"totalCount": 0},
        "connectors": {"edges": [{"node": {"version": 1}}]},
    }


async def test_a_test_never_shows_what_the_source_echoes_of_the_secrets(world: World):
    async with echo() as url:
        seen = await world.do(
            "testConnector",
            TEST,
            configuration={
                "name": "x",
                "url": url,
                "authType": "BEARER",
                "bearerToken": "token-4711",
                "headers": [{"name": "X-Key", "value": "header-4711"}],
                "queryParameters": [{"name": "k", "value": "parameter-4711"}],
            },
        )
    assert seen["ok"], seen
    assert "***" in seen["frame"]
    assert "4711" not in str(seen)


async def test_a_test_says_what_went_wrong(world: World):
    seen = await world.do(
        "testConnector", TEST, configuration={"name": "x", "url": "http://127.0.0.1:1/"}
    )
    assert (seen["ok"], seen["messages"], seen["frame"]) == (False, [], None)
    assert seen["error"]


async def test_a_test_takes_exactly_one_source(world: World):
    for input in ({}, {"id": "x", "configuration": {"name": "x", "url": URL}}, {"id": None}):
        _, errors = await world.answer(
            "mutation($input: TestConnectorInput!) { testConnector(input: $input) { __typename } }",
            input=input,
        )
        assert len(errors) == 1, input


async def test_a_test_refuses_what_create_would(world: World):
    seen = await world.do("testConnector", TEST, configuration={"name": "", "url": URL})
    assert (seen["__typename"], seen["field"]) == ("InvalidInput", "name")
    id = await created(world)
    seen = await world.do("testConnector", TEST, changes={"id": id})
    assert seen["__typename"] == "NoFieldsToUpdate"
