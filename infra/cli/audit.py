"""The commands `penstock audit ...`."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from infra.cli.options import DataDir, run, settings_of, workspace_id

app = typer.Typer(help="Examine the record of who did what.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Examine the record of who did what."""


@app.command(epilog="Example: penstock audit verify --against heads.json")
def verify(
    workspace: Annotated[
        UUID | None,
        typer.Option(
            help="Only this workspace's events; all zeros: those of no workspace.",
            parser=workspace_id,
            metavar="ID",
        ),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Heads kept from an earlier `--json`: what was noted then must still be there."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines, and to be kept.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Compute every event's seal anew; exit code 1 when one was edited, removed or inserted."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import auditing

    whole = auditing.Answer()
    try:
        run(lambda _: auditing.verify(settings, workspace, against, as_json, whole), drain=False)
    except typer.Exit as end:
        raise typer.Exit(end.exit_code or (0 if whole.good else 1)) from None
