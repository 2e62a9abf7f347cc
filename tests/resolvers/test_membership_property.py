"""Any sequence of membership operations, by anybody, however their request was admitted, against a model of the rules."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.identity import ALL, Role, Viewer
from resolvers import ids
from tests import factories
from tests.resolvers.teams import mailbox, person, stored, user
from tests.resolvers.world import World, living

PEOPLE = 5
RANK = {Role.OWNER: 3, Role.ADMIN: 2, Role.ANALYST: 1, Role.VIEWER: 0}
somebody = st.integers(0, PEOPLE - 1)
place = st.sampled_from([0, 0, 1, 1, 1, 2, 3, 4])
"""Whose turn it is among all people by what they are now: mostly somebody who may do something."""
a_role = st.sampled_from(Role)


@dataclass
class Offer:
    role: Role
    inviter: int
    token: str


@dataclass
class Stage:
    """A world that many machines play on, one workspace each."""

    runner: asyncio.Runner
    world: World
    people: list[Viewer]


class Membership(RuleBasedStateMachine):
    stage: Stage

    @initialize()
    def begin(self) -> None:
        self.workspace = self.run(stored(self.stage.world, factories.workspace(name="Team")))
        self.members: dict[int, Role] = dict(enumerate(Role))
        for who, role in self.members.items():
            key = self.stage.people[who].user_id
            assert key is not None
            self.run(stored(self.stage.world, factories.member(self.workspace.id, key, role)))
        self.offers: dict[int, Offer] = {}

    def run(self, awaitable: Any) -> Any:
        return self.stage.runner.run(awaitable)

    def viewer(self, who: int) -> Viewer:
        """Somebody whose request was admitted with all rights: what they are by now must count."""
        return Viewer(self.workspace.id, user_id=self.stage.people[who].user_id, permissions=ALL)

    def do(self, mutation: str, actor: int, **input: Any) -> bool:
        """Whether it was done: no error, of either kind."""
        document = (
            f"mutation($input: {mutation[0].upper()}{mutation[1:]}Input!) {{"
            f" {mutation}(input: $input) {{ __typename }} }}"
        )
        data, errors = self.run(self.stage.world.answer(document, self.viewer(actor), input=input))
        assert all(isinstance(error, tuple) for error in errors), errors
        done = not errors and data[mutation]["__typename"] in (
            "Workspace",
            "Member",
            "FormerMember",
            "Invitation",
        )
        return bool(done)

    def rank(self, who: int) -> int:
        return RANK[self.members[who]] if who in self.members else -1

    def at(self, turn: int) -> int:
        return sorted(range(PEOPLE), key=self.rank, reverse=True)[turn]

    def is_last_owner(self, who: int) -> bool:
        return [one for one, role in self.members.items() if role is Role.OWNER] == [who]

    def falls(self, who: int) -> None:
        """What somebody offered beyond what they are by now is void."""
        for invited, offer in list(self.offers.items()):
            if offer.inviter == who and (
                self.rank(who) < RANK[Role.ADMIN] or self.rank(who) < RANK[offer.role]
            ):
                del self.offers[invited]

    def id(self, who: int) -> str:
        return person(self.stage.people[who])

    @rule(turn=place, whom=somebody, role=a_role)
    def change_role(self, turn: int, whom: int, role: Role) -> None:
        actor = self.at(turn)
        may = (
            self.rank(actor) >= RANK[Role.ADMIN]
            and whom in self.members
            and self.rank(whom) <= self.rank(actor)
            and RANK[role] <= self.rank(actor)
            and not (role is not Role.OWNER and self.is_last_owner(whom))
        )
        done = self.do("changeMemberRole", actor, userId=self.id(whom), role=role.name)
        assert done is may
        if may:
            self.members[whom] = role
            self.falls(whom)

    @rule(turn=place, whom=somebody)
    def remove(self, turn: int, whom: int) -> None:
        actor = self.at(turn)
        may = (
            self.rank(actor) >= RANK[Role.ADMIN]
            and whom in self.members
            and self.rank(whom) <= self.rank(actor)
            and not self.is_last_owner(whom)
        )
        assert self.do("removeMember", actor, userId=self.id(whom)) is may
        if may:
            del self.members[whom]
            self.falls(whom)

    @rule(turn=place, whom=somebody)
    def transfer(self, turn: int, whom: int) -> None:
        actor = self.at(turn)
        may = self.rank(actor) == RANK[Role.OWNER] and whom in self.members
        assert self.do("transferOwnership", actor, userId=self.id(whom)) is may
        if may and actor != whom:
            self.members |= {whom: Role.OWNER, actor: Role.ADMIN}
            self.falls(actor)

    @rule(actor=somebody)
    def leave(self, actor: int) -> None:
        may = actor in self.members and not self.is_last_owner(actor)
        id = ids.global_id("Workspace", self.workspace.id)
        assert self.do("leaveWorkspace", actor, id=id) is may
        if may:
            del self.members[actor]
            self.falls(actor)

    @rule(turn=place, whom=somebody, role=a_role)
    def invite(self, turn: int, whom: int, role: Role) -> None:
        actor = self.at(turn)
        may = (
            self.rank(actor) >= RANK[Role.ADMIN]
            and RANK[role] <= self.rank(actor)
            and whom not in self.members
        )
        email = f"person{whom}@example.com"
        assert self.do("inviteMember", actor, email=email, role=role.name) is may
        if may:
            self.offers[whom] = Offer(role, actor, mailbox(self.stage.world).token())

    @rule(who=somebody, whose=somebody)
    def accept(self, who: int, whose: int) -> None:
        offer = self.offers.get(whose)
        token = offer.token if offer else "nonsense"
        may = offer is not None and who == whose
        assert self.do("acceptInvitation", who, token=token) is may
        if may and offer is not None:
            self.members.setdefault(who, offer.role)
            del self.offers[whose]

    @invariant()
    def the_database_has_what_the_rules_say(self) -> None:
        if not hasattr(self, "workspace"):
            return
        rows = self.run(
            self.stage.world.database.pool.fetch(
                "select user_id, role from members where workspace_id = $1", self.workspace.id
            )
        )
        known = {viewer.user_id: who for who, viewer in enumerate(self.stage.people)}
        stored_roles = {known[row["user_id"]]: Role(row["role"]) for row in rows}
        assert stored_roles == self.members
        assert Role.OWNER in stored_roles.values()


async def set_up(stack: AsyncExitStack, url: str) -> tuple[World, list[Viewer]]:
    world = await stack.enter_async_context(living(url))
    people = [await user(world, email=f"person{number}@example.com") for number in range(PEOPLE)]
    return world, [Viewer(factories.HOME_WORKSPACE_ID, user_id=one.id) for one in people]


def test_every_workspace_keeps_an_owner_and_nobody_gets_more_than_they_may(database_url: str):
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        world, people = runner.run(set_up(stack, database_url))
        stage_ = Stage(runner, world, people)
        try:
            machine = type("OnStage", (Membership,), {"stage": stage_})
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=30, stateful_step_count=15, deadline=None, phases=(Phase.generate,)
                ),
            )
        finally:
            runner.run(stack.aclose())
