"""The commands `penstock user ...` and `penstock token`."""

import signal
import sys
from typing import Annotated
from uuid import UUID

import typer

from infra.cli.options import DataDir, run, settings_of, workspace_id

app = typer.Typer(help="Add people and help them in, on this machine.", no_args_is_help=True)

ROLES = ("owner", "admin", "analyst", "viewer")
Email = Annotated[str, typer.Argument(help="The person's e-mail address.", show_default=False)]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


@app.command(epilog="Example: penstock user add jo@example.com --name Jo --adopt")
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="What to call them.")] = "",
    password_stdin: FromStdin = False,
    adopt: Annotated[
        bool,
        typer.Option(
            "--adopt",
            help="Make them the owner of every workspace without members, such as one from before there "
            "were accounts.",
        ),
    ] = False,
    workspace: Annotated[
        UUID | None,
        typer.Option(
            help="Also make them a member of this workspace, or another kind of member.",
            parser=workspace_id,
            metavar="ID",
        ),
    ] = None,
    role: Annotated[
        str, typer.Option(help="What they are in that workspace: owner, admin, analyst or viewer.")
    ] = "viewer",
    data_dir: DataDir = None,
) -> None:
    """Add a person with a verified address and a personal workspace.

    The password is asked for on a terminal; an empty one, or no terminal, has one made and printed. With --adopt or
    --workspace the person may have an account already.
    """
    if role.lower() not in ROLES:
        raise typer.BadParameter(f"must be one of {', '.join(ROLES)}", param_hint="--role")
    settings = settings_of(data_dir=data_dir)
    from domain.identity import Role
    from infra.commands import people

    run(
        lambda _: people.add(
            settings,
            email,
            name=name,
            password=lambda: _asked(password_stdin),
            adopt=adopt,
            workspace=workspace,
            role=Role(role.lower()),
        ),
        drain=False,
    )


@app.command("list", epilog="Example: penstock user list --json")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    data_dir: DataDir = None,
) -> None:
    """List everybody, with what state their account is in."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import people

    run(lambda _: people.show(settings, as_json), drain=False)


@app.command(epilog="Example: penstock user deactivate jo@example.com")
def deactivate(
    email: Email,
    undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False,
    data_dir: DataDir = None,
) -> None:
    """End a person's sessions and API keys and let nobody sign in to the account."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import people

    run(lambda _: people.deactivate(settings, email, undo), drain=False)


@app.command("reset-password", epilog="Example: penstock user reset-password jo@example.com")
def reset_password(
    email: Email,
    password_stdin: FromStdin = False,
    second_factor_off: Annotated[
        bool,
        typer.Option("--second-factor-off", help="For somebody who lost it and the codes."),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Give a person a new password, asked for or made as by `user add`, and end their sessions."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import people

    run(
        lambda _: people.reset_password(
            settings, email, lambda: _asked(password_stdin), second_factor_off
        ),
        drain=False,
    )


def token(
    email: Email,
    minutes: Annotated[
        int, typer.Option(min=1, max=1_440, help="How long the token is good.")
    ] = 15,
    data_dir: DataDir = None,
) -> None:
    """Print an access token to act as somebody with, in a session of its own; written in the audit."""
    settings = settings_of(data_dir=data_dir)
    from infra.commands import people

    run(lambda _: people.token(settings, email, minutes), drain=False)


def _asked(from_stdin: bool) -> str | None:
    """The password, None to have one made; raises CannotRun."""
    from infra.startup import CannotRun

    if from_stdin:
        if given := sys.stdin.readline().rstrip("\r\n"):
            return given
        raise CannotRun("standard input holds no password")
    if not sys.stdin.isatty():
        return None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ends the prompt, echo on
    try:
        said: str = typer.prompt(
            "Password (empty: make one)", default="", show_default=False, hide_input=True, err=True
        )
        if said and typer.prompt("Once more", hide_input=True, err=True) != said:
            raise CannotRun("the two passwords differ")
    except typer.Abort:
        raise CannotRun("no password was given") from None
    finally:
        signal.signal(signal.SIGINT, before)
    return said or None
