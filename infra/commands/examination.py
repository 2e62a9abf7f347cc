"""What `penstock doctor` does."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import typer

from infra import doctor, logs
from infra.console import errors, output
from infra.doctor import Finding, State
from infra.settings import InvalidSettings, load_settings

_STYLES = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}


def examined(overrides: dict[str, Any]) -> list[Finding]:
    """What the doctor found; settings that cannot be used are findings too."""
    try:
        settings = load_settings(**overrides)
    except InvalidSettings as error:
        return [
            Finding("configuration", State.FAIL, problem, "correct the variable")
            for problem in error.problems
        ]
    logs.mask(*settings.secrets())
    logs.configure("WARNING", settings.log_format, settings.slow_operation_ms)
    with errors.status("Examining ..."):
        return asyncio.run(doctor.examine(settings))


def show(findings: Sequence[Finding], as_json: bool = False) -> bool:
    """Print findings, for people or as a JSON list; whether nothing failed (warnings do not count)."""
    if as_json:
        typer.echo(orjson.dumps(findings, option=orjson.OPT_INDENT_2).decode())
    for finding in [] if as_json else findings:
        style = _STYLES[finding.state]
        output.print(f"[{style}]{finding.state.value:<4}[/]  {finding.check}: ", end="")
        output.print(finding.found, markup=False, soft_wrap=True)
        if finding.mend is not None:
            output.print(f"      mend: {finding.mend}", markup=False, soft_wrap=True)
    return all(finding.state is not State.FAIL for finding in findings)
