"""What every command does first: settings checked, logs set up, nothing unhandled shown raw."""

import sys
import threading
from types import TracebackType
from typing import Any

import typer
from loguru import logger

from infra import logs
from infra.settings import InvalidSettings, Settings, load_settings, unknown_variables

EXIT_INVALID = 2


def prepared(overrides: dict[str, Any]) -> Settings:
    """Checked settings, with logging set up; prints all problems and raises typer.Exit(2) when there are any."""
    try:
        settings = load_settings(**overrides)
    except InvalidSettings as error:
        typer.echo("penstock: these settings cannot be used:", err=True)
        for problem in error.problems:
            typer.echo(f"  {problem}", err=True)
        raise typer.Exit(EXIT_INVALID) from None
    logs.mask(*settings.secrets())
    logs.configure(settings.log_level, settings.log_format, settings.slow_operation_ms)
    sys.excepthook = _unhandled
    threading.excepthook = lambda args: logger.opt(exception=args.exc_value).error(
        "Thread {} ended by an error", args.thread.name if args.thread else "?"
    )
    for warning in unknown_variables():
        logger.warning(warning)
    return settings


def _unhandled(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if isinstance(error, KeyboardInterrupt):
        raise SystemExit(130)
    logger.opt(exception=(kind, error, trace)).critical("Ended by an error that is a bug")
    logs.flush()
