"""The database fixtures that every test can ask for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from infra.postgres.database import Database
from infra.postgres.tenancy import Tenancy
from tests import cluster
from tests.tenants import tenancy

# Time says nothing of correctness here, and the machine may be busy with other things.
settings.register_profile("penstock", deadline=None)
settings.load_profile("penstock")

_CLUSTER = pytest.StashKey[cluster.Cluster]()
_DIRECTORY = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        config.stash[_DIRECTORY] = Path(workerinput["cluster"])
    elif not config.option.collectonly:
        config.stash[_CLUSTER] = cluster.Cluster()
        config.stash[_DIRECTORY] = config.stash[_CLUSTER].directory


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    node.workerinput["cluster"] = str(config.stash[_DIRECTORY])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CLUSTER in config.stash:
        config.stash[_CLUSTER].close()


@pytest.fixture
def server_url(pytestconfig: pytest.Config) -> str:
    """The run's PostgreSQL server, as its superuser, at its database `postgres`."""
    return cluster.server(pytestconfig.stash[_DIRECTORY])[1]


@pytest.fixture
async def database_url(pytestconfig: pytest.Config) -> AsyncIterator[str]:
    """A migrated database of the test's own."""
    template, server = cluster.server(pytestconfig.stash[_DIRECTORY])
    url = await cluster.create_database(server, template)
    yield url
    await cluster.drop_database(url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_database_url(pytestconfig: pytest.Config) -> AsyncIterator[str]:
    """A migrated database for tests that do not disturb each other."""
    template, server = cluster.server(pytestconfig.stash[_DIRECTORY])
    url = await cluster.create_database(server, template)
    yield url
    await cluster.drop_database(url)


@pytest.fixture
async def empty_database_url(server_url: str) -> AsyncIterator[str]:
    """A database of the test's own without a single table."""
    url = await cluster.create_database(server_url, None)
    yield url
    await cluster.drop_database(url)


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[Tenancy]:
    """The test's own migrated database as viewers and as the accounts' service see it."""
    async with tenancy(database_url) as databases:
        yield databases


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A connected `Database` on a migrated database of the test's own."""
    async with Database(database_url, pool_size=5) as database:
        yield database
