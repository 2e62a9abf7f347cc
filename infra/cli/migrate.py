"""The commands `penstock migrate ...`."""

from typing import Annotated

import typer

from infra.cli.options import DataDir, run, settings_of

app = typer.Typer(help="Bring the database's schema forward or back.", no_args_is_help=True)


@app.command("up", epilog="Example: penstock migrate up")
def up(
    to: Annotated[str, typer.Option(help="Revision to stop at.")] = "head",
    data_dir: DataDir = None,
) -> None:
    """Apply the migrations that are pending."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import migrations

    run(lambda _: migrations.up(settings, to), drain=False)


@app.command("down", epilog="Example: penstock migrate down --yes")
def down(
    to: Annotated[str, typer.Option(help="Revision to go back to; `base` undoes all.")] = "-1",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Undo the newest migration, and drop what it holds."""
    settings = settings_of(data_dir=data_dir)
    if not yes:
        typer.confirm("This drops tables or columns with their data. Go on?", abort=True)
    from infra.commands import migrations

    run(lambda _: migrations.down(settings, to), drain=False)


@app.command("status", epilog="Example: penstock migrate status")
def status(data_dir: DataDir = None) -> None:
    """Say which migration the database is at, and which are pending."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import migrations

    run(lambda _: migrations.status(settings), drain=False)
