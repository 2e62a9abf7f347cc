from tests.resolvers.world import World, store


async def test_storage_is_told(world: World):
    await store(world, 3)
    found = await world.ask(
        """{ storage { serverVersion embedded byteCount bus tables { name rowCount byteCount }
             partitions { name since until rowCount byteCount } } }"""
    )
    storage = found["storage"]
    assert (storage["embedded"], storage["bus"]) == (True, "memory")
    rows = {table["name"]: table["rowCount"] for table in storage["tables"]}
    assert rows["messages"] == 3
    assert sum(partition["rowCount"] for partition in storage["partitions"]) == 3
