"""What the command line shows people: long work as it goes on, answers as tables; machines get plain lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from loguru import logger
from rich.console import Console

errors = Console(stderr=True, highlight=False)
output = Console(highlight=False)


@contextmanager
def step(doing: str, done: str) -> Iterator[None]:
    """Show `doing` while the block runs (a spinner on a terminal), then log `done` with how long it took."""
    started = perf_counter()
    if errors.is_terminal:
        with errors.status(f"{doing} ..."):
            yield
    else:
        yield
    logger.info("{} in {:.1f} s", done, perf_counter() - started)
