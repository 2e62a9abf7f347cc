"""Writes down what a transaction changes, in that same transaction: what commits is told, what is told has committed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Delete, Insert, Update, event, insert, inspect
from sqlalchemy.orm import ORMExecuteState, SessionTransaction
from sqlalchemy.sql.elements import BindParameter
from sqlmodel import Session, SQLModel

from domain.audit import DEEDS, AuditEvent, AuditOutcome, Change, Deed
from domain.identity import Act, SessionRecord, User
from infra.postgres.audited import client_name, is_told, plain, shown, subject_of
from infra.system import RandomIds, SystemClock

ACT = "act"
"""The key of `session.info` under which a session has the act it serves; without one nothing is written down."""

_TOUCHES = "touches"
_WRITTEN = "written"
_TABLE: Any = AuditEvent.__table__  # type: ignore[attr-defined]
_clock = SystemClock()
_ids = RandomIds()


class AuditedSession(Session):
    """A session whose unit of work is watched."""


@dataclass(slots=True)
class Touch:
    """One entity in one flush; `within` is the savepoint it happened in."""

    type: str
    id: str | None
    workspace_id: UUID | None
    changes: dict[tuple[object, str], Change]
    within: SessionTransaction | None
    user_id: UUID | None = None


@dataclass(slots=True)
class Told:
    """An event in the making."""

    workspace_id: UUID | None = None
    user_id: UUID | None = None
    changes: dict[tuple[object, str], Change] = field(default_factory=dict)
    deed: Deed | None = None


@event.listens_for(AuditedSession, "before_flush")
def _before_flush(session: Session, *_: object) -> None:
    if ACT not in session.info:
        return
    touches = session.info.setdefault(_TOUCHES, [])
    for entity in session.new:
        touches += _touch(session, entity, "new")
    for entity in session.dirty:
        touches += _touch(session, entity, "dirty")
    for entity in session.deleted:
        touches += _touch(session, entity, "deleted")


@event.listens_for(AuditedSession, "do_orm_execute")
def _on_statement(state: ORMExecuteState) -> None:
    """Tell of statements that pass the unit of work by; which rows they hit they do not say."""
    session, statement = state.session, state.statement
    if ACT not in session.info or not isinstance(statement, Insert | Update | Delete):
        return
    if state.execution_options.get("untold"):
        return
    kind = _kind_of(statement.table)
    subject = None if kind is None else subject_of(kind)
    if subject is None:
        return
    changes: dict[tuple[object, str], Change] = {}
    for column, value in (getattr(statement, "_values", None) or {}).items():
        if is_told(subject, column):
            after = value.value if isinstance(value, BindParameter) else str(value)
            name = client_name(subject, column.name)
            changes[statement, column.name] = Change(name, None, shown(subject, column, after))
    if isinstance(statement, Update) and not changes:
        return
    viewer = session.info[ACT].caller.viewer
    workspace_id = viewer.workspace_id if viewer and "workspace_id" in statement.table.c else None
    session.info.setdefault(_TOUCHES, []).append(
        Touch(subject.type, None, workspace_id, changes, session.get_nested_transaction())
    )


@event.listens_for(AuditedSession, "before_commit")
def _before_commit(session: Session) -> None:
    if ACT not in session.info or session.in_nested_transaction():
        return
    session.flush()
    deeds = [deed for _, deed in session.info.get(DEEDS, ())]
    rows = event_rows(session.info[ACT], session.info.get(_TOUCHES, ()), deeds)
    if rows:
        session.connection().execute(insert(_TABLE), rows)
    session.info[_WRITTEN] = [row["outcome"] for row in rows]


@event.listens_for(AuditedSession, "after_commit")
def _after_commit(session: Session) -> None:
    if ACT in session.info and not session.in_nested_transaction():
        session.info[ACT].trail.written += session.info.pop(_WRITTEN, ())
        _forget(session)


@event.listens_for(AuditedSession, "after_soft_rollback")
def _after_rollback(session: Session, ended: SessionTransaction) -> None:
    if ACT not in session.info:
        return
    if ended.nested:
        deeds = session.info.get(DEEDS, [])
        deeds[:] = [pair for pair in deeds if not _inside(pair[0], ended)]
        touches = session.info.get(_TOUCHES, [])
        touches[:] = [touch for touch in touches if not _inside(touch.within, ended)]
    elif ended.parent is None:
        session.info[ACT].trail.undone += [deed for _, deed in session.info.get(DEEDS, ())]
        _forget(session)


def event_rows(act: Act, touches: Iterable[Touch], deeds: Iterable[Deed]) -> list[dict[str, Any]]:
    """The rows of `audit_events` for one transaction: one for each subject, and for each deed without one.

    They are in the order of their chains, so that transactions lock those in one order.
    """
    told: dict[object, Told] = {}
    for touch in touches:
        made = told.setdefault((touch.type, touch.id), Told())
        made.workspace_id = made.workspace_id or touch.workspace_id
        made.user_id = made.user_id or touch.user_id
        for slot, change in touch.changes.items():
            first = made.changes.get(slot)
            made.changes[slot] = (
                change if first is None else Change(change.field, first.before, change.after)
            )
    subjects = {key: key for key in told}
    for deed in deeds:
        key: object = subjects.get((deed.subject_type, deed.subject_id), object())
        made = told.setdefault(key, Told())
        if made.deed is not None:
            made = told.setdefault(object(), Told())
        made.deed = deed
    rows = [_row(act, key, made) for key, made in told.items()]
    return sorted(rows, key=lambda row: str(row["workspace_id"] or ""))


def _row(act: Act, key: object, told: Told) -> dict[str, Any]:
    actor, deed = act.caller.actor, told.deed
    changes = list(told.changes.values())
    type, id = key if isinstance(key, tuple) else (None, None)
    workspace_id, action = told.workspace_id, act.action or "change"
    outcome, code = AuditOutcome.DONE, None
    if deed is not None:
        type, id = deed.subject_type or type, deed.subject_id or id
        workspace_id = deed.workspace_id or workspace_id
        action, outcome, code = deed.action, deed.outcome, deed.code
        changes += deed.changes
        changes += [Change(name, None, value) for name, value in (deed.facts or {}).items()]
    user_id = actor.user_id
    if act.caller.viewer is None and actor.address and outcome is AuditOutcome.DONE:
        # Who registers or signs in is who they turn out to be; an operator, who has no address, is not.
        user_id = told.user_id
    return {
        "id": _ids.new(),
        "chain": workspace_id or UUID(int=0),
        "sequence": 0,
        "at": _clock.now(),
        "workspace_id": workspace_id,
        "user_id": user_id,
        "api_key_id": actor.api_key_id,
        "session_id": actor.session_id,
        "action": _cut(action, 100),
        "outcome": outcome,
        "code": _cut(code, 100),
        "subject_type": _cut(type, 100),
        "subject_id": _cut(id, 200),
        "changes": [
            {"field": change.field, "before": plain(change.before), "after": plain(change.after)}
            for change in changes
        ],
        "address": _cut(actor.address, 100),
        "agent": _cut(actor.agent, 500),
        "request_id": _cut(actor.request_id, 100),
        "previous_hash": b"",
        "hash": b"",
    }


def _touch(session: Session, entity: Any, how: str) -> list[Touch]:
    subject = subject_of(type(entity))
    if subject is None:
        return []
    state = inspect(entity)
    row = tuple(state.mapper.primary_key_from_instance(entity))
    changes: dict[tuple[object, str], Change] = {}
    for attribute in state.mapper.column_attrs:
        column = attribute.columns[0]
        if not is_told(subject, column):
            continue
        before, after = _values(state, attribute.key, how)
        if before != after:
            name = client_name(subject, column.name)
            changes[row, column.name] = Change(
                name, shown(subject, column, before), shown(subject, column, after)
            )
    if how == "dirty" and not changes:
        return []
    within = session.get_nested_transaction()
    if how == "new" and isinstance(entity, SessionRecord):
        return [_sign_in(entity, within)]
    return [
        Touch(
            subject.type,
            _text(getattr(entity, subject.key, None)),
            _uuid(getattr(entity, subject.workspace or "", None)),
            changes,
            within,
            user_id=entity.id if how == "new" and isinstance(entity, User) else None,
        )
    ]


def _sign_in(record: SessionRecord, within: SessionTransaction | None) -> Touch:
    """A session that begins is told as its user's: they signed in."""
    begun = {"session": str(record.id), "method": record.method.value}
    changes: dict[tuple[object, str], Change] = {
        (record.id, name): Change(name, None, value) for name, value in begun.items()
    }
    return Touch("User", str(record.user_id), None, changes, within, record.user_id)


def _values(state: Any, key: str, how: str) -> tuple[object, object]:
    """What an attribute was and is; None for what was never loaded."""
    if how == "new":
        return None, state.dict.get(key)
    if how == "deleted":
        return state.dict.get(key), None
    history = state.attrs[key].history
    if not history.has_changes():
        return None, None
    return (
        history.deleted[0] if history.deleted else None,
        history.added[0] if history.added else None,
    )


def _kind_of(table: Any) -> type[SQLModel] | None:
    # By name, as a statement has an annotated copy of the table.
    for mapper in SQLModel._sa_registry.mappers:  # noqa: SLF001 - SQLModel names its registry so
        if getattr(mapper.local_table, "name", None) == table.name:
            return mapper.class_
    return None


def _inside(within: SessionTransaction | None, ended: SessionTransaction) -> bool:
    while within is not None:
        if within is ended:
            return True
        within = within.parent
    return False


def _forget(session: Session) -> None:
    session.info.pop(DEEDS, None)
    session.info.pop(_TOUCHES, None)


def _cut(value: str | None, length: int) -> str | None:
    # A NUL cannot be stored, and what cannot be stored must not keep a deed from being told.
    return None if value is None else value.replace("\0", "")[:length]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _uuid(value: object) -> UUID | None:
    return value if isinstance(value, UUID) else None
