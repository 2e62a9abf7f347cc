"""Fixtures for tests that run Penstock as a process."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for an embedded server: not below pytest's own, which another run closes to other users."""
    directory = Path(tempfile.mkdtemp(prefix="penstock-place-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)
