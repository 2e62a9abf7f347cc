"""Fixtures for tests that run Penstock as a process."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.service import Service

FRAME_LIMIT = 65_536


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for an embedded server: not below pytest's own, which another run closes to other users."""
    directory = Path(tempfile.mkdtemp(prefix="penstock-place-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def service(
    shared_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A running service that tests share: each makes its own connectors and looks at those alone."""
    async with Service(
        tmp_path_factory.mktemp("service"),
        database_url=shared_database_url,
        allow_private_addresses=True,
        frame_limit_bytes=FRAME_LIMIT,
    ) as service:
        yield service
