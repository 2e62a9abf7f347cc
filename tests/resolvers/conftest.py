from collections.abc import AsyncIterator

import pytest

from tests.resolvers.world import World, living


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A process behind the schema, on a database of the test's own."""
    async with living(database_url) as world:
        yield world
