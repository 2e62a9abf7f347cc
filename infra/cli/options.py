"""What the commands share: options, and how a command's coroutine is run."""

from base64 import b64decode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

if TYPE_CHECKING:
    from infra.settings import Settings

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


def workspace_id(text: str) -> UUID:
    """A workspace's id: as GraphQL gives it, or the UUID inside."""
    try:
        return UUID(text)
    except ValueError:
        pass
    try:
        kind, _, inside = b64decode(text, validate=True).decode().partition(":")
        return UUID(inside if kind == "Workspace" else "")
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no id of a workspace") from None


def settings_of(**options: Any) -> "Settings":
    """Checked settings, the options given winning; ends the command when they cannot be used."""
    from infra import begin

    return begin.prepared(given(**options))


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def run(main: Callable[..., Awaitable[None]], drain: bool = True) -> None:
    """Run a coroutine as the process and end with its exit code."""
    from infra import process

    raise typer.Exit(process.run(main, drain=drain))
