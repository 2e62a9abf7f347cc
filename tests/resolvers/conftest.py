from collections.abc import AsyncIterator

import pytest

from tests.resolvers.people import People, living_people
from tests.resolvers.world import World, living


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A process behind the schema, on a database of the test's own."""
    async with living(database_url) as world:
        yield world


@pytest.fixture
async def people(database_url: str) -> AsyncIterator[People]:
    """The same, with a clock that stands, for what people do."""
    async with living_people(database_url) as people:
        yield people
