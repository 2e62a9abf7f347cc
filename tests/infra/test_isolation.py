"""No viewer sees, changes or learns the existence of another tenant's rows, whatever the schema offers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.identity import Caller, Viewer
from infra.postgres.message_log import PostgresMessageLog
from infra.realtime.announcement import Announcement
from infra.realtime.hub import Hub
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from schema.root import schema
from tests import factories
from tests.infra.isolation.asking import Answer, ask, comparable, forged, leaks
from tests.infra.isolation.documents import Operation, Operations
from tests.infra.isolation.tenants import PLANS, Ledger, Plan, Tenant, build, ghost
from tests.resolvers.world import World, living

CORE = schema._schema
NOTES = frozenset({"audit_events", "audit_chains"})
"""Where the service writes down, by a role of its own, what was tried under a viewer's name."""

MARKED = {
    "users", "members", "workspaces", "sessions", "credentials", "secrets", "api_keys", "groups",
    "connectors", "connector_status", "messages", "message_batches", "quarantined_frames",
    "sequence_gaps", "instruments", "invitations", "resource_shares", "audit_chains",
}  # fmt: skip

BY_THE_SERVICE = frozenset[str]()
"""Operations that go past the viewer's database role by design: here the resolvers' own checks are what there is."""

EXAMPLES = settings(
    max_examples=3,
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
    trial.conclude()


async def stored_statuses(*_: Any) -> list[Any]:
    return []


@EXAMPLES
@given(plans=st.tuples(PLANS, PLANS), draw=st.randoms(use_true_random=False))
async def test_no_subscription_hears_of_anothers(
    world: World, plans: tuple[Plan, Plan], draw: Random
) -> None:
    trial, operations = Trial(world, plans), Operations(CORE, draw)
    await trial.begin()
    databases, clock = world.services.databases, world.services.clock
    hub = Hub(PostgresMessageLog(world.database), clock)
    board = StatusBoard(stored_statuses)
    await hub.start()
    feed = Feed(hub, board, clock, lambda v: PostgresMessageLog(databases.seen_by(v)))  # type: ignore[attr-defined]
    services = replace(world.services, feed=feed)
    try:
        for kind, name in operations.all():
            if kind != "subscription":
                continue
            operation = operations.make(kind, name)
            for who in ("owner", "viewer", "key", "delegate", None):
                viewer = trial.mine.viewers[who] if who else None
                for forging in (False, True):
                    asking = viewer
                    if forging and viewer is not None and not viewer.delegate:
                        asking = forged(viewer, trial.theirs)
                    context = services.context(Caller(asking, "request-1"))
                    heard = await listen(operation, context, trial, hub)
                    if found := leaks(heard, operation, trial.theirs, trial.theirs):
                        trial.faults.append(
                            f"{name} as {who} hears {found[:3]}: {heard.text[:300]}"
                        )
    finally:
        await hub.stop()
    trial.conclude()


async def listen(operation: Operation, context: Any, trial: Trial, hub: Hub) -> Answer:
    """What a subscription says while messages of the victim pass by."""
    result: Any = await schema.subscribe(
        operation.document, operation.variables_of(trial.theirs), context_value=context
    )
    if not hasattr(result, "__aiter__"):
        return Answer(None, [str(error) for error in result.errors or ()], [])
    heard: list[Any] = []

    async def hear() -> None:
        async with aclosing(result) as events:
            async for event in events:
                heard.append([event.data, [str(error) for error in event.errors or ()]])

    hearing = asyncio.create_task(hear())
    await asyncio.wait({hearing}, timeout=0.05)
    announce(hub, trial.theirs)
    await asyncio.wait({hearing}, timeout=0.05)
    hearing.cancel()
    await asyncio.wait({hearing})
    return Answer(heard, [], [])


def announce(hub: Hub, tenant: Tenant) -> None:
    """A message of a tenant, on its way to whoever listens."""
    node = 600
    id = factories.message_id(node=node) + hub.position.of(node) % 1000 + 1
    row = factories.row(
        factories.message(
            id=max(id, hub.position.of(node) + 1),
            workspace_id=tenant.workspace_id,
            exchange=tenant.mark,
            instrument=tenant.values["instrument"][0],
        )
    )
    hub.receive(Announcement(node, hub.position.of(node), row[0], factories.NOW, [row]))
