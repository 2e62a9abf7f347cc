"""The command `penstock replay`."""

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.options import given, run, settings_of


def replay(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8765,
    speed: Annotated[float, typer.Option(help="Multiple of the recorded pace.")] = 1.0,
    rate: Annotated[
        float | None, typer.Option(help="Frames a second of each venue, instead of a speed.")
    ] = None,
    venue: Annotated[
        list[str] | None, typer.Option(help="Only this venue; may be given again.")
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(help="Only streams like this shell pattern; may be given again."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Play once instead of for ever.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="Misbehave, as KIND or KIND:NAME=VALUE,... with kinds disconnect, abort, silence, "
            "duplicate, reorder, corrupt, status, slow; may be given again."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal mishaps.")] = 0,
    frames: Annotated[
        Path | None, typer.Option(help="Folder of recordings to play instead of the bundled ones.")
    ] = None,
) -> None:
    """Serve recorded exchange frames over the venues' own paths and protocols; misbehave on request."""
    settings_of()
    from infra import replaying

    options = replaying.replay_options(
        given(
            host=host,
            port=port,
            speed=speed,
            rate=rate,
            venues=tuple(venue) if venue else None,
            streams=tuple(stream) if stream else None,
            loop=not once,
            seed=seed,
            frames=frames,
        ),
        faults=fault or [],
    )
    run(lambda stop: replaying.replay(options, stop))
