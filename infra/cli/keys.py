"""The commands `penstock keys ...`."""

import typer

from infra.cli.options import DataDir, run, settings_of

app = typer.Typer(help="Make, show and rotate encryption keys.", no_args_is_help=True)


@app.command("generate", epilog="Example: penstock keys generate")
def generate() -> None:
    """Print a new key for PENSTOCK_ENCRYPTION_KEYS; nothing is stored."""
    from infra.security.keys import new_key

    typer.echo(new_key())


@app.command("status", epilog="Example: penstock keys status")
def status(data_dir: DataDir = None) -> None:
    """Say how many stored secrets each key seals; exit code 1 when a key is missing."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import keys

    answer = keys.Answer()
    try:
        run(lambda _: keys.status(settings, answer), drain=False)
    except typer.Exit as end:
        raise typer.Exit(end.exit_code or (0 if answer.good else 1)) from None


@app.command("rotate", epilog="Example: penstock keys rotate")
def rotate(data_dir: DataDir = None) -> None:
    """Seal every stored secret with a new key, beside the running service; may be interrupted and run again."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import keys

    answer = keys.Answer()
    try:
        run(lambda _: keys.rotate(settings, answer), drain=False)
    except typer.Exit as end:
        raise typer.Exit(end.exit_code or (0 if answer.good else 1)) from None
