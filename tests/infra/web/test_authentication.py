"""Who a credential says is calling, on a real database and with real tokens."""

from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from strawberry.relay import GlobalID

from domain.identity import Forbidden, Permission, Role, Unauthenticated
from domain.identity.changes import RightsChange
from infra.postgres.database import Database
from infra.postgres.roles import ACCOUNTS
from infra.postgres.uses import Uses
from infra.security.signing_keys import KeyPairs
from infra.security.tokens import AccessTokens
from infra.security.vault import KeyVault
from infra.system import RandomIds
from infra.web.admission import Offer
from infra.web.authentication import Authenticator
from tests.factories import (
    HOME_WORKSPACE_ID,
    NOW,
    OWNER_ID,
    FixedClock,
    api_key,
    member,
    save,
    user,
    workspace,
)
from tests.resolvers.world import CountedDatabase
from tests.signing_in import session_of

LIFETIME = timedelta(minutes=15)
KEY = "penstock_abcdefgh_secret"


class Gate:
    """An authenticator with all it stands on."""

    def __init__(self, database: Database, counted: CountedDatabase) -> None:
        self.clock = FixedClock()
        self.database = database
        self.counted = counted
        self.keys = KeyPairs(database, KeyVault([bytes(32)]), self.clock, LIFETIME)
        self.tokens = AccessTokens(
            self.keys, self.clock, RandomIds(), issuer="penstock", audience="a", lifetime=LIFETIME
        )
        self.uses = Uses(counted, self.clock)
        self.authenticator = Authenticator(self.counted, self.tokens, self.clock, self.uses)
        self.authenticator.hears_changes = True

    async def sign_in(self, user_id: UUID = OWNER_ID) -> str:
        record = session_of(user_id)
        record.expires_at = NOW + timedelta(days=30)
        record.last_used_at = NOW - timedelta(hours=1)
        await save(self.database, record)
        return (await self.tokens.issue(user_id, record.id)).token

    async def admit(self, token: str | None, workspace: str | None = None) -> Any:
        return (await self.authenticator.admit(Offer(token, workspace))).viewer

    async def refusal(self, token: str, workspace: str | None = None) -> str:
        with pytest.raises(Unauthenticated) as refused:
            await self.admit(token, workspace)
        return refused.value.reason


@pytest.fixture
async def gate(database: Database) -> AsyncIterator[Gate]:
    async with CountedDatabase(database.url, role=ACCOUNTS) as counted:
        yield Gate(database, counted)


async def test_without_a_credential_nobody_calls(gate: Gate) -> None:
    assert await gate.admit(None) is None
    assert await gate.admit(None, str(HOME_WORKSPACE_ID)) is None


async def test_a_token_is_its_user_in_their_personal_workspace(gate: Gate) -> None:
    viewer = await gate.admit(await gate.sign_in())
    assert viewer.user_id == OWNER_ID
    assert viewer.workspace_id == HOME_WORKSPACE_ID
    assert viewer.permissions == frozenset(Permission)


async def test_another_workspace_is_asked_for_by_either_id(gate: Gate) -> None:
    other = workspace()
    await save(gate.database, other)
    await save(gate.database, member(other.id, OWNER_ID, Role.VIEWER))
    token = await gate.sign_in()
    for id in (str(other.id), str(GlobalID("Workspace", str(other.id)))):
        viewer = await gate.admit(token, id)
        assert viewer.workspace_id == other.id
        assert viewer.permissions == {Permission.READ_DATA}


async def test_foreign_missing_and_impossible_workspaces_are_answered_alike(gate: Gate) -> None:
    foreign = workspace()
    await save(gate.database, foreign)
    token = await gate.sign_in()
    said = set()
    other_type = str(GlobalID("User", str(OWNER_ID)))
    for id in (str(foreign.id), str(UUID(int=5)), "no such thing", "", other_type):
        with pytest.raises(Forbidden) as refused:
            await gate.admit(token, id)
        said.add(refused.value.needed)
    assert len(said) == 1


async def test_a_key_is_itself_in_its_own_workspace(gate: Gate) -> None:
    key = api_key(HOME_WORKSPACE_ID, OWNER_ID, key_hash=sha256(KEY.encode()).digest())
    await save(gate.database, key)
    viewer = await gate.admit(KEY)
    assert viewer.api_key_id == key.id
    assert viewer.workspace_id == HOME_WORKSPACE_ID
    assert viewer.permissions == {Permission.READ_DATA}
    assert await gate.refusal(KEY + "x") == "unknown key"


async def test_a_token_ends_with_its_time_also_from_memory(gate: Gate) -> None:
    token = await gate.sign_in()
    assert await gate.admit(token)
    gate.clock.advance(seconds=10)
    assert await gate.admit(token)
    gate.clock.advance(seconds=LIFETIME.total_seconds() - 10)
    assert "expired" in await gate.refusal(token)


async def test_a_key_ends_with_its_time_also_from_memory(gate: Gate) -> None:
    key = api_key(
        HOME_WORKSPACE_ID,
        OWNER_ID,
        key_hash=sha256(KEY.encode()).digest(),
        expires_at=NOW + timedelta(seconds=10),
    )
    await save(gate.database, key)
    assert await gate.admit(KEY)
    gate.clock.advance(seconds=10)
    assert await gate.refusal(KEY) == "key expired"


async def test_what_is_no_token_is_refused(gate: Gate) -> None:
    assert await gate.refusal("nonsense")
    assert await gate.refusal("penstock_")


async def test_a_viewer_is_looked_up_once_in_a_while(gate: Gate) -> None:
    token = await gate.sign_in()
    await gate.admit(token)
    before = len(gate.counted.statements)
    for _ in range(3):
        await gate.admit(token)
    assert len(gate.counted.statements) == before
    gate.clock.advance(seconds=31)
    await gate.admit(token)
    assert len(gate.counted.statements) == before + 1


async def test_a_change_of_rights_is_seen_by_the_next_request(gate: Gate) -> None:
    token, other = await gate.sign_in(), await gate.sign_in()
    first = await gate.admit(token)
    await gate.admit(other)
    before = len(gate.counted.statements)
    gate.authenticator.forget(RightsChange(session_id=first.session_id))
    await gate.admit(other)
    assert len(gate.counted.statements) == before
    await gate.admit(token)
    assert len(gate.counted.statements) == before + 1


async def test_nothing_is_remembered_while_changes_are_not_heard(gate: Gate) -> None:
    token = await gate.sign_in()
    await gate.admit(token)
    gate.authenticator.hears_changes = False
    before = len(gate.counted.statements)
    await gate.admit(token)
    await gate.admit(token)
    assert len(gate.counted.statements) == before + 2


async def test_a_change_while_somebody_is_looked_up_has_them_looked_up_again(gate: Gate) -> None:
    token = await gate.sign_in()

    lent, changes = gate.counted.read, [RightsChange(user_id=OWNER_ID)]

    def read_just_before_a_change(*_: Any) -> Any:
        while changes:
            gate.authenticator.forget(changes.pop())
        return lent()

    gate.counted.read = read_just_before_a_change  # type: ignore[method-assign]
    await gate.admit(token)
    assert len(gate.counted.statements) == 2


async def test_the_memory_is_bounded(gate: Gate) -> None:
    authenticator = Authenticator(gate.counted, gate.tokens, gate.clock, gate.uses, cache_size=2)
    authenticator.hears_changes = True
    tokens = [await gate.sign_in() for _ in range(4)]
    for token in tokens:
        await authenticator.admit(Offer(token))
    assert len(authenticator._cache) == 2


async def test_last_uses_are_noted_at_most_once_a_minute(gate: Gate) -> None:
    somebody = user()
    home = workspace(personal=True)
    await save(gate.database, somebody, home)
    await save(gate.database, member(home.id, somebody.id))
    token = await gate.sign_in(somebody.id)

    async def last_used() -> Any:
        async with gate.database.acquire() as connection:
            return await connection.fetchval(
                "select last_used_at from sessions where user_id = $1", somebody.id
            )

    await gate.admit(token)
    await gate.uses.write()
    assert await last_used() == NOW
    gate.clock.advance(seconds=30)
    await gate.admit(token)
    await gate.uses.write()
    assert await last_used() == NOW
    gate.clock.advance(seconds=31)
    await gate.admit(token)
    await gate.uses.write()
    assert await last_used() == NOW + timedelta(seconds=61)
