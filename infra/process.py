"""Runs a coroutine as the process: uvloop, signals, an end within 10 s, exit codes.

The first SIGINT or SIGTERM sets the stop event; the coroutine drains and returns. A second one ends at once.
"""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvloop
from loguru import logger

from infra import logs
from infra.startup import explain

CANCEL_AFTER_SECONDS = 7.0
END_AFTER_SECONDS = 9.5

COLLECT_AFTER = 50_000  # new container objects

OK = 0
FAILED = 1
CANNOT_RUN = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM)

Main = Callable[[asyncio.Event], Awaitable[None]]


def run(main: Main, drain: bool = True) -> int:
    """Run `main(stop)` to its end and return the exit code: 0 ended well, 1 failed, 3 cannot run as set up.

    Without `drain` the first signal cancels `main`, and the code is 128 and the signal's number.
    """
    guard = _Guard()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(_supervise(main, guard, drain))
            guard.watch()  # closing the loop waits for threads
        return code
    except Exception as error:  # noqa: BLE001 - the outermost frame: told in one line, or logged as a bug
        return _failed(error)
    finally:
        guard.dismiss()


async def _supervise(main: Main, guard: "_Guard", drain: bool) -> int:
    stop = asyncio.Event()
    task = asyncio.ensure_future(main(stop))
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        logger.info("{}: stopping; once more to stop at once", signal.Signals(number).name)
        stop.set()
        loop.call_later(CANCEL_AFTER_SECONDS if drain else 0, task.cancel)

    with guard.signals(lambda number: loop.call_soon_threadsafe(end, number)):
        await asyncio.wait({task})
    if task.cancelled() and not drain:
        return guard.code
    if task.cancelled():
        logger.error("Not drained after {:.0f} s: cut off", CANCEL_AFTER_SECONDS)
        return FAILED
    if (error := task.exception()) is not None:
        return _failed(error)
    return OK


def _failed(error: BaseException) -> int:
    if (reason := explain(error)) is not None:
        logs.flush()
        sys.stderr.write(f"penstock: {logs.redacted(reason)}\n")
        return CANNOT_RUN
    logger.opt(exception=error).critical("Ended by an error that is a bug")
    return FAILED


def settle() -> None:
    """Tell the garbage collector that what is there now stays, and that the tick path makes no cycles.

    With its defaults it walks all buffered messages again and again: two fifths of the time of a busy ingest.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


class _Guard:
    """Hears signals, and ends the process when it would not end by itself."""

    def __init__(self) -> None:
        self._heard: int | None = None
        self._timer: threading.Timer | None = None

    @contextmanager
    def signals(self, first: Callable[[int], object]) -> Iterator[None]:
        """While in the block the first signal calls `first`, the second ends the process."""

        # Python's own handlers: unlike the loop's they run while the loop is busy.
        def hear(number: int, _: FrameType | None) -> None:
            again, self._heard = self._heard is not None, number
            if again:
                self._end()
            self.watch()
            first(number)

        before = [(number, signal.signal(number, hear)) for number in SIGNALS]
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def watch(self) -> None:
        """End the process when it has not ended in time."""
        if self._timer is None:
            self._timer = threading.Timer(END_AFTER_SECONDS, self._end)
            self._timer.daemon = True
            self._timer.start()

    def dismiss(self) -> None:
        """The process ends by itself."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def code(self) -> int:
        """The exit code of a process that a signal ended."""
        return FAILED if self._heard is None else 128 + self._heard

    def _end(self) -> None:
        logs.flush(0.5)
        os._exit(self.code)
