"""No viewer sees, changes or learns the existence of another tenant's rows, whatever the schema offers."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.connectors import ConnectorStatus
from domain.identity import Caller, Viewer
from domain.positions import Position
from infra.postgres.message_log import PostgresMessageLog
from infra.postgres.tenancy import Tenancy
from infra.realtime.announcement import Announcement
from infra.realtime.hub import Hub
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from resolvers.context import Services
from resolvers.ids import parts
from schema.root import schema
from tests import factories
from tests.factories import NOW
from tests.infra.isolation.asking import Answer, ask, comparable, forged, leaks
from tests.infra.isolation.documents import Operation, Operations
from tests.infra.isolation.tenants import PLANS, Ledger, Plan, Tenant, build, ghost
from tests.resolvers.world import World, living

CORE = schema._schema
NOTES = frozenset({"audit_events", "audit_chains"})
"""Where the service writes down, by a role of its own, what was tried under a viewer's name."""

AT_ONCE_SECONDS = 5.0
"""Streams that are refused, or begin with where they begin, say so within this time; others say nothing in it."""

MARKED = {
    "users", "members", "workspaces", "sessions", "credentials", "secrets", "api_keys", "groups",
    "connectors", "connector_status", "messages", "message_batches", "quarantined_frames",
    "sequence_gaps", "instruments", "invitations", "resource_shares", "audit_chains",
}  # fmt: skip

BY_THE_SERVICE = frozenset[str]()
"""Operations that go past the viewer's database role by design: here the resolvers' own checks are what there is."""

EXAMPLES = settings(
    max_examples=int(os.environ.get("PENSTOCK_TEST_TENANTS", "1")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # smaller examples would say no more, and take minutes
)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with living(database_url) as world:
        yield world


class Trial:
    """An attacker and a victim, and what passes between them."""

    def __init__(self, world: World, plans: tuple[Plan, Plan]) -> None:
        self.world = world
        self.plans = plans
        self.ledger = Ledger(world.database)
        self.faults: list[str] = []

    async def begin(self) -> None:
        tables = await self.ledger.prepare()
        self.mine, self.own = await self.built(self.plans[0])
        self.theirs, self.kept = await self.built(self.plans[1])
        empty = await self.ledger.of(replace(self.theirs, uuids=[factories.new_id()]))
        assert {name for name in tables if self.kept[name] != empty[name]} >= MARKED

    def conclude(self) -> None:
        """Fail with all that came out."""
        if self.faults:
            pytest.fail("\n".join(self.faults), pytrace=False)

    async def built(self, plan: Plan) -> tuple[Tenant, dict[str, str]]:
        """A tenant, and the digests of its rows."""
        tenant = await build(self.world.database, plan)
        return tenant, await self.ledger.of(tenant)

    async def ask(
        self, operation: Operation, who: str | None, about: Tenant, forging: bool = False
    ) -> tuple[Answer, Tenant]:
        """Ask as one of one's own; note what was seen or changed of the victim. Returns who asked, too."""
        mine = self.mine
        viewer: Viewer | None = mine.viewers[who] if who else None
        if forging and viewer is not None:
            viewer = forged(viewer, self.theirs)
        answer = await ask(self.world, operation, viewer, about)
        after = await self.ledger.of(self.theirs)
        where = f"{operation.name} as {who}{' with checks off' if forging else ''}"
        changed = {name for name in after if self.kept[name] != after[name]}
        if faulty := changed - (NOTES if forging else set()):
            self.faults.append(f"{where} changed {faulty}: {answer.text[:300]}")
        if found := leaks(answer, operation, about, self.theirs):
            self.faults.append(f"{where} shows {found[:3]}: {answer.text[:300]}")
        if not forging:
            self.faults += [f"{where} failed: {bug!r}"[:600] for bug in answer.bugs]
        if changed:
            self.theirs, self.kept = await self.built(self.plans[1])
        if await self.ledger.of(mine) != self.own:
            self.mine, self.own = await self.built(self.plans[0])
        return answer, mine


def viewers(draw: Random) -> str | None:
    """Somebody of the attacker's, or nobody."""
    return draw.choice(["owner", "owner", "admin", "analyst", "viewer", "key", "delegate", None])


async def honest(trial: Trial, operation: Operation, who: str | None) -> None:
    """The answer about what is another's is the answer about what does not exist."""
    nothing, asker = await trial.ask(operation, who, ghost(trial.theirs))
    expected = comparable(nothing, operation, ghost(trial.theirs), asker)
    theirs = trial.theirs
    answer, asker = await trial.ask(operation, who, theirs)
    found = comparable(answer, operation, theirs, asker)
    if operation.slots and found != expected:
        trial.faults.append(f"{operation.name} as {who} tells: {found} instead of {expected}")


@EXAMPLES
@given(plans=st.tuples(PLANS, PLANS), draw=st.randoms(use_true_random=False))
async def test_no_operation_shows_changes_or_tells_what_is_anothers(
    world: World, plans: tuple[Plan, Plan], draw: Random
) -> None:
    trial, operations = Trial(world, plans), Operations(CORE, draw)
    await trial.begin()
    for kind, name in operations.all():
        if kind != "subscription":
            await honest(trial, operations.make(kind, name), viewers(draw))
    trial.conclude()


@EXAMPLES
@given(plans=st.tuples(PLANS, PLANS), draw=st.randoms(use_true_random=False))
async def test_the_database_alone_keeps_tenants_apart(
    world: World, plans: tuple[Plan, Plan], draw: Random
) -> None:
    trial, operations = Trial(world, plans), Operations(CORE, draw)
    await trial.begin()
    for kind, name in operations.all():
        if kind == "subscription" or name in BY_THE_SERVICE:
            continue
        who = draw.choice(["owner", "admin", "viewer", "key"])
        await trial.ask(operations.make(kind, name), who, trial.theirs, forging=True)
        if kind == "query":
            await trial.ask(operations.plain(kind, name), who, trial.theirs, forging=True)
    trial.conclude()


async def test_a_trial_finds_what_is_not_kept_apart(world: World) -> None:
    await world.database.pool.execute(
        "alter table connectors disable row level security;"
        " alter table messages disable row level security;"
        " alter table audit_events disable row level security"
    )
    trial, operations = Trial(world, (Plan(), Plan())), Operations(CORE, Random(1))
    await trial.begin()
    for kind, name in (
        ("query", "connectors"),
        ("query", "messages"),
        ("mutation", "deleteConnector"),
    ):
        await trial.ask(operations.plain(kind, name), "owner", trial.theirs, forging=True)
    said = "\n".join(trial.faults)
    assert "connectors as owner with checks off shows" in said
    assert "messages as owner with checks off shows" in said
    assert "deleteConnector as owner with checks off changed {" in said


async def test_operations_do_show_what_is_ones_own(world: World) -> None:
    trial, operations = Trial(world, (Plan(), Plan())), Operations(CORE, Random(2))
    await trial.begin()
    showing = set()
    for kind, name in operations.all():
        if kind == "query":
            answer, mine = await trial.ask(operations.plain(kind, name), "owner", trial.mine)
            if mine.mark in answer.text:
                showing.add(name)
    silent = {"signInProviders", "storage"}
    assert showing >= {name for kind, name in operations.all() if kind == "query"} - silent


UNANSWERED = {"leaveWorkspace", "removeGroupMember", "updateConnector", "testConnector"}
"""The last owner stays, one member is in a group, mappings are random, and a trial's secrets are sealed by nobody."""


KINDS = {type.name for type in CORE.get_possible_types(CORE.type_map["Node"])}  # type: ignore[arg-type]


async def test_operations_do_change_what_is_ones_own(world: World) -> None:
    """Else a trial would find that nobody changes what is another's because nobody changes anything."""
    trial, operations = Trial(world, (Plan(), Plan())), Operations(CORE, Random(3))
    await trial.begin()
    errors = {type.name for type in CORE.get_implementations(CORE.type_map["Error"]).objects}  # type: ignore[arg-type]
    unanswered = set()
    for kind, name in operations.all():
        slots = operations.make(kind, name).slots
        if kind != "mutation" or not any(slot.kind in KINDS for slot in slots):
            continue
        for _ in range(8):
            answer, _ = await trial.ask(operations.make(kind, name), "owner", trial.mine)
            result = (answer.data or {}).get(name)
            if result and result["__typename"] not in errors:
                break
        else:
            unanswered.add(name)
    assert unanswered <= UNANSWERED


async def stored_statuses(*_: Any) -> list[Any]:
    return []


@given(plans=st.tuples(PLANS, PLANS), draw=st.randoms(use_true_random=False))
@settings(EXAMPLES, max_examples=1)
async def test_no_subscription_hears_of_anothers(
    world: World, plans: tuple[Plan, Plan], draw: Random
) -> None:
    trial, operations = (
        Trial(world, (replace(plans[0], guarded=False), plans[1])),
        Operations(CORE, draw),
    )
    await trial.begin()
    async with live(world) as (services, hub, board):
        control = Listener(
            services, operations.plain("subscription", "messages"), trial.mine, "owner"
        )
        listeners = [
            Listener(
                services, operations.make(kind, name), trial.mine, who, forging and trial.theirs
            )
            for kind, name in operations.all()
            if kind == "subscription"
            for who in ("owner", "viewer", "key", "delegate", None)
            for forging in (False, True)
            if not (forging and who in ("delegate", None))
        ]
        for one in listeners:
            if (known := await one.begun(trial.theirs)) != (
                unknown := await one.begun(ghost(trial.theirs))
            ):
                trial.faults.append(f"{one.name} tells: {known} instead of {unknown}")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run(trial.theirs)) for one in (control, *listeners)]
            await control.until(lambda: len(control.heard) == 1)
            await announce(hub, board, trial.theirs)
            await announce(hub, board, trial.mine)
            await control.until(lambda: trial.mine.mark in control.answer.text)
            for task in tasks:
                task.cancel()
    for one in (control, *listeners):
        if found := leaks(one.answer, one.operation, trial.theirs, trial.theirs):
            trial.faults.append(f"{one.name} hears {found[:3]}: {one.answer.text[:300]}")
    trial.conclude()


@asynccontextmanager
async def live(world: World) -> AsyncIterator[tuple[Services, Hub, StatusBoard]]:
    """The world's services with a live stream."""
    databases, clock = world.services.databases, world.services.clock
    assert isinstance(databases, Tenancy)
    hub, board = Hub(PostgresMessageLog(world.database), clock), StatusBoard(stored_statuses)
    await hub.start()
    feed = Feed(hub, board, clock, lambda viewer: PostgresMessageLog(databases.seen_by(viewer)))
    try:
        yield replace(world.services, feed=feed), hub, board
    finally:
        await hub.stop()


class Listener:
    """Somebody's subscription, and what it said."""

    def __init__(
        self,
        services: Services,
        operation: Operation,
        mine: Tenant,
        who: str | None,
        victim: Tenant | bool = False,
    ) -> None:
        viewer: Viewer | None = mine.viewers[who] if who else None
        if viewer is not None and isinstance(victim, Tenant):
            viewer = forged(viewer, victim)
        self.operation = operation
        self.name = f"{operation.name} as {who}{' with checks off' if victim else ''}"
        self.heard: list[Any] = []
        self._context = services.context(Caller(viewer, "request-1"))
        self._woken = asyncio.Event()

    @property
    def answer(self) -> Answer:
        return Answer(self.heard, [], [])

    async def run(self, asked: Tenant) -> None:
        result: Any = await schema.subscribe(
            self.operation.document,
            self.operation.variables_of(asked),
            context_value=self._context,
        )
        if not hasattr(result, "__aiter__"):
            self.heard.append([str(error) for error in result.errors or ()])
            return
        async with aclosing(result) as events:
            async for event in events:
                self.heard.append([event.data, [str(error) for error in event.errors or ()]])
                self._woken.set()

    async def begun(self, asked: Tenant) -> Any:
        """How it begins: refused, or by what it says at once."""
        kinds = {slot.kind for slot in self.operation.slots}
        if not kinds or "position" in kinds:
            return None  # a place in everybody's stream is there or is not
        result: Any = await schema.subscribe(
            self.operation.document, self.operation.variables_of(asked), context_value=self._context
        )
        if hasattr(result, "__aiter__"):
            async with aclosing(result) as events:
                try:
                    result = await asyncio.wait_for(anext(events), AT_ONCE_SECONDS)
                except TimeoutError:
                    return None
        errors = [repr(error.original_error or error) for error in result.errors or ()]
        answer = Answer(getattr(result, "data", None), errors, [])
        return comparable(answer, self.operation, asked, asked)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was heard is so."""
        async with asyncio.timeout(20):
            while not condition():
                self._woken.clear()
                await self._woken.wait()


async def announce(hub: Hub, board: StatusBoard, tenant: Tenant) -> None:
    """A message and a status of a tenant, on their way to whoever listens."""
    node, connector_id = 600, UUID(parts(tenant.values["Connector"][0])[1])
    previous = hub.position.of(node)
    message = factories.message(
        id=max(factories.message_id(node=node), previous + 1),
        workspace_id=tenant.workspace_id,
        connector_id=connector_id,
        exchange=tenant.mark,
        instrument=tenant.values["instrument"][0],
    )
    hub.receive(Announcement(node, previous, message.id, NOW, [factories.row(message)[:14]]))
    await hub.reached(Position({node: message.id}), 20)
    status = ConnectorStatus(
        connector_id=connector_id,
        workspace_id=tenant.workspace_id,
        since=NOW,
        last_error=tenant.mark,
    )
    board.receive(status)
