"""The commands `penstock schema ...`."""

from typing import Annotated

import typer

app = typer.Typer(help="Print or check the GraphQL schema.", no_args_is_help=True)


@app.command("print", epilog="Example: penstock schema print > schema.graphql")
def show() -> None:
    """Print the GraphQL schema."""
    from infra.web import sdl

    typer.echo(sdl.printed(), nl=False)


@app.command("check", epilog="Example: penstock schema check --against origin/main")
def check(
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
