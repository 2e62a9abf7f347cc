"""What `penstock replay` does: options from the command line, and the replayer until it is stopped."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import typer

from infra.replay.control import fault_of
from infra.replay.faults import Fault
from infra.replay.options import ReplayOptions
from infra.replay.recordings import UnusableRecording
from infra.replay.server import Replayer
from infra.startup import CannotRun

_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


def replay_options(options: dict[str, Any], faults: Sequence[str]) -> ReplayOptions:
    """Options of the replayer as the command line gives them; raises typer.BadParameter."""
    try:
        return ReplayOptions(**options, faults=tuple(read_fault(fault) for fault in faults))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


async def replay(options: ReplayOptions, stop: asyncio.Event) -> None:
    """Serve recorded frames until `stop`; raises CannotRun without an address or usable recordings."""
    replayer = Replayer(options)
    try:
        await replayer.start()
    except (OSError, UnusableRecording) as error:
        raise CannotRun(
            f"the replayer cannot start: {error}; see `penstock replay --help`"
        ) from None
    try:
        for venue in options.venues:
            typer.echo(f"{venue}: {replayer.url(venue)}")
        await stop.wait()
    finally:
        await replayer.stop()


def read_fault(text: str) -> Fault:
    """A fault from `kind` or `kind:name=value,...` such as `status:status=500,venue=okx`; raises typer.BadParameter."""
    kind, _, rest = text.partition(":")
    facts: dict[str, Any] = {"kind": kind}
    for part in rest.split(",") if rest else []:
        name, _, value = part.partition("=")
        facts[name.strip()] = _value(value)
    try:
        return fault_of(facts)
    except ValueError as error:
        raise typer.BadParameter(f"{text}: {error}") from None


def _value(text: str) -> str | float:
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)
