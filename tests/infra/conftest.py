"""Fixtures for tests that run Penstock as a process."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.service import Service


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for an embedded server: not below pytest's own, which another run closes to other users."""
    directory = Path(tempfile.mkdtemp(prefix="penstock-place-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    request: pytest.FixtureRequest,
    module_database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Service]:
    """A running service that the tests of a module share, with the module's `SETTINGS`."""
    settings = {"allow_private_addresses": True, **getattr(request.module, "SETTINGS", {})}
    directory = tmp_path_factory.mktemp("service")
    async with Service(directory, database_url=module_database_url, **settings) as service:
        yield service
