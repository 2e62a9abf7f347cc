"""What `penstock audit` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import orjson
import typer
from pydantic import BaseModel, TypeAdapter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from domain.audit import ACCOUNTS_CHAIN
from infra.commands import database
from infra.console import errors, output
from infra.postgres.database import connector
from infra.postgres.verification import Chain, Fault, Head
from infra.postgres.verification import verify as walk
from infra.settings import Settings
from infra.startup import CannotRun


@dataclass(slots=True)
class Answer:
    """Whether every chain was whole."""

    good: bool = True


class _Noted(BaseModel):
    chain: UUID
    sequence: int
    hash: str


async def verify(
    settings: Settings, chain: UUID | None, against: Path | None, as_json: bool, answer: Answer
) -> None:
    """Go through the chains and print what was found; raises CannotRun for notes that cannot be read."""
    noted = {} if against is None else _noted(against)
    async with database.beside(settings) as url:
        connection = await connector(url, application_name="penstock audit")()
        try:
            with _progress() as progress:
                task = progress.add_task("Verifying", total=None)
                chains = await walk(
                    connection,
                    chain,
                    noted,
                    lambda done, total: progress.update(task, completed=done, total=total),
                )
        finally:
            await connection.close()
    answer.good = not any(chain.faults for chain in chains)
    if as_json:
        typer.echo(
            orjson.dumps([_facts(chain) for chain in chains], option=orjson.OPT_INDENT_2).decode()
        )
    else:
        _show(chains)


def _noted(path: Path) -> dict[UUID, Head]:
    try:
        listed = TypeAdapter(list[_Noted]).validate_json(path.read_bytes())
        return {note.chain: Head(note.sequence, bytes.fromhex(note.hash)) for note in listed}
    except OSError as error:
        raise CannotRun(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CannotRun(f"{path} is not what `penstock audit verify --json` prints") from error


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)


def _facts(chain: Chain) -> dict[str, object]:
    return {
        "chain": str(chain.id),
        "events": chain.events,
        "sequence": chain.head.sequence,
        "hash": chain.head.hash.hex(),
        "faults": [
            {
                "kind": fault.kind.value,
                "first": fault.first,
                "last": fault.last,
                "event": None if fault.event_id is None else str(fault.event_id),
                "seen": fault.seen,
            }
            for fault in chain.faults
        ],
    }


def _show(chains: Sequence[Chain]) -> None:
    for chain in chains:
        name = "accounts" if chain.id == ACCOUNTS_CHAIN else f"workspace {chain.id}"
        state = "BROKEN" if chain.faults else "whole"
        pruned = (
            f", {chain.anchor.sequence} before them past retention" if chain.anchor.sequence else ""
        )
        _say(
            f"{state}  {name}: {chain.events} events{pruned};"
            f" head {chain.head.sequence} {chain.head.hash.hex()[:16]}"
        )
        for fault in chain.faults:
            _say(f"        {_told(fault)}")
    if not chains:
        _say("no events yet")


def _told(fault: Fault) -> str:
    events = (
        f"event {fault.first}"
        if fault.first == fault.last
        else f"events {fault.first} to {fault.last}"
    )
    id = "" if fault.event_id is None else f" ({fault.event_id})"
    return f"{events}{id} {fault.kind.value}: {fault.seen}"


def _say(line: str) -> None:
    output.print(line, markup=False, soft_wrap=True)
