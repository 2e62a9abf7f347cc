"""What `penstock replay` does: options from the command line, and the replayer until it is stopped."""

import asyncio
from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from types import UnionType
from typing import Any, get_args, get_type_hints

import typer

from infra.replay.faults import Fault
from infra.replay.options import ReplayOptions
from infra.replay.recordings import UnusableRecording
from infra.replay.server import Replayer
from infra.startup import CannotRun


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
    given = {"kind": kind} | dict(
        part.partition("=")[::2] for part in rest.split(",") if part.strip()
    )
    hints = get_type_hints(Fault)
    known = [field.name for field in fields(Fault)]
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise typer.BadParameter(f"{name} is none of {', '.join(known[1:])}")
        try:
            values[name] = _converted(hints[name], value)
        except ValueError as error:
            raise typer.BadParameter(f"{name}={value}: {error}") from None
    try:
        return Fault(**values)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _converted(hint: Any, value: str) -> Any:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    kind = kinds[0] if isinstance(hint, UnionType) else hint
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"one of {', '.join(item.value for item in kind)}") from None
    return kind(value)
