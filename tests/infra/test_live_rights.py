"""Rights taken away while their owner is connected: on every process, within a second."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from domain.identity import Role
from infra.postgres.database import Database
from infra.security.keys import new_key
from tests import factories
from tests.infra.clients import FOLLOW, Wire, dialling
from tests.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROTOCOL = "graphql-transport-ws"
SECONDS = 1.0
FORBIDDEN = 4403


class Town:
    """Two processes on one database, and the database itself."""

    def __init__(self, services: list[Service], database: Database) -> None:
        self.services = services
        self.database = database

    async def somebody(self, role: Role = Role.ANALYST) -> tuple[UUID, UUID]:
        """A user with a personal workspace, and another one that they are a member of."""
        user, home = factories.user(), factories.workspace(personal=True)
        office, boss = factories.workspace(), factories.user()
        await factories.save(self.database, user, home, office, boss)
        await factories.save(
            self.database,
            factories.member(home.id, user.id),
            factories.member(office.id, boss.id),
            factories.member(office.id, user.id, role),
        )
        return user.id, office.id

    async def change(self, statement: str, *arguments: Any) -> None:
        """Change the database as any process could."""
        async with self.database.acquire() as connection:
            await connection.execute(statement, *arguments)

    async def command(self, *arguments: str) -> None:
        """Run `penstock` on this database."""
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("penstock"),
            *arguments,
            env=self.services[0]._environment,
            stdin=subprocess.DEVNULL,
        )
        assert await process.wait() == 0

    async def connect(
        self, stack: AsyncExitStack, token: str, workspace: UUID | None = None
    ) -> list[Wire]:
        """A socket to each process, which follows the stream."""
        wires = []
        for service in self.services:
            wire = await stack.enter_async_context(connected(service, token, workspace))
            await follow(wire)
            wires.append(wire)
        return wires

    async def sign_in(self, user_id: UUID) -> str:
        """A token for a session of its own."""
        return await self.services[0].sign_in(user_id)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(
    shared_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Town]:
    settings = {
        "database_url": shared_database_url,
        "encryption_keys": new_key(),
    }
    place = tmp_path_factory.mktemp("town")
    async with (
        Service(place, command="serve", **settings) as one,
        Service(place, command="serve", **settings) as other,
        Database(shared_database_url, pool_size=2) as database,
    ):
        yield Town([one, other], database)


@asynccontextmanager
async def connected(
    service: Service, token: str, workspace: UUID | None = None
) -> AsyncIterator[Wire]:
    async with dialling(service.url, PROTOCOL) as wire:
        payload = {"authorization": f"Bearer {token}"}
        if workspace is not None:
            payload["workspace"] = str(workspace)
        await wire.send(type="connection_init", payload=payload)
        assert (await wire.recv())["type"] == "connection_ack"
        yield wire


async def follow(wire: Wire, id: str = "1") -> None:
    await wire.subscribe(id, FOLLOW)
    assert (await wire.recv())["type"] == "next"


async def closings(wires: list[Wire]) -> set[tuple[int | None, str | None]]:
    """How all of them are closed, which must be soon."""
    async with asyncio.timeout(SECONDS):
        return set(await asyncio.gather(*(wire.closed() for wire in wires)))


async def test_an_ended_session_closes_its_sockets_and_no_others(town: Town) -> None:
    user, _ = await town.somebody()
    ended, kept = await town.sign_in(user), await town.sign_in(user)
    async with AsyncExitStack() as stack:
        closing = await town.connect(stack, ended)
        staying = await town.connect(stack, kept)
        await town.change(
            "update sessions set ended_at = now(), end_reason = 'signed_out'"
            " where id = (select min(id::text)::uuid from sessions where user_id = $1)",
            user,
        )
        assert await closings(closing) == {(FORBIDDEN, "Session ended")}
        for wire in staying:
            await wire.send(type="ping")
            assert (await wire.recv())["type"] == "pong"
    answer = await asked(town.services[1], ended)
    assert answer.status_code == 401
    assert (await asked(town.services[1], kept)).status_code == 200


async def test_a_revoked_key_closes_its_sockets(town: Town) -> None:
    user, office = await town.somebody()
    text = f"penstock_{office.hex[:8]}_secret"
    key = factories.api_key(office, user, key_hash=sha256(text.encode()).digest())
    await factories.save(town.database, key)
    async with AsyncExitStack() as stack:
        wires = await town.connect(stack, text)
        await town.change("update api_keys set revoked_at = now() where id = $1", key.id)
        assert await closings(wires) == {(FORBIDDEN, "Key revoked")}


async def test_who_leaves_a_workspace_leaves_its_streams_and_keeps_their_own(town: Town) -> None:
    user, office = await town.somebody()
    token = await town.sign_in(user)
    async with AsyncExitStack() as stack:
        there = await town.connect(stack, token, office)
        home = await town.connect(stack, token)
        await town.change(
            "delete from members where user_id = $1 and workspace_id = $2", user, office
        )
        assert await closings(there) == {(FORBIDDEN, "No longer a member of this workspace")}
        for wire in home:
            await wire.subscribe("2", "{ __typename }")
            assert (await wire.recv())["payload"] == {"data": {"__typename": "Query"}}


async def test_narrowed_rights_end_what_they_no_longer_allow_and_leave_the_socket(
    town: Town,
) -> None:
    user, office = await town.somebody()
    token = await town.sign_in(user)
    async with AsyncExitStack() as stack:
        wires = await town.connect(stack, token, office)
        await town.change(
            "update workspaces set second_factor_required = true where id = $1", office
        )
        for wire in wires:
            async with asyncio.timeout(SECONDS):
                ended = await wire.recv()
            assert (ended["type"], ended["id"]) == ("error", "1")
            assert ended["payload"][0]["extensions"]["code"] == "FORBIDDEN"
            await wire.subscribe("1", FOLLOW)
            assert (await wire.recv())["payload"][0]["extensions"]["code"] == "FORBIDDEN"
        await town.change("update users set second_factor = true where id = $1", user)
        for wire in wires:
            await follow_when_allowed(wire)


async def follow_when_allowed(wire: Wire) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            await wire.subscribe("again", FOLLOW)
            if (await wire.recv())["type"] == "next":
                return
            await asyncio.sleep(0.02)


async def test_a_lesser_role_that_still_reads_disturbs_no_stream(town: Town) -> None:
    user, office = await town.somebody(Role.ANALYST)
    token = await town.sign_in(user)
    async with connected(town.services[0], token, office) as wire:
        await follow(wire)
        await town.change(
            "update members set role = 'viewer' where user_id = $1 and workspace_id = $2",
            user,
            office,
        )
        async with asyncio.timeout(SECONDS):
            while True:
                await wire.subscribe("2", "{ viewer { permissions } }")
                answer = await wire.recv()
                assert answer["type"] == "next", answer
                assert (await wire.recv())["type"] == "complete"
                if answer["payload"]["data"]["viewer"]["permissions"] == ["READ_DATA"]:
                    break
        await wire.send(type="complete", id="1")
        await follow(wire)  # with the same id, so the first one was still running


async def test_who_is_deactivated_by_an_operator_is_out_everywhere(town: Town) -> None:
    user, office = await town.somebody()
    token = await town.sign_in(user)
    async with AsyncExitStack() as stack:
        wires = await town.connect(stack, token) + await town.connect(stack, token, office)
        texts = [asyncio.create_task(streamed(service, token)) for service in town.services]
        await town.command("user", "deactivate", f"{user}@example.com")
        assert await closings(wires) == {(FORBIDDEN, "Account deactivated")}
        async with asyncio.timeout(SECONDS):
            for text in await asyncio.gather(*texts):
                assert "UNAUTHENTICATED" in text
                assert text.endswith("event: complete\ndata: \n\n")


async def test_a_token_shown_in_band_keeps_the_socket_and_another_end_closes_it(
    town: Town,
) -> None:
    service = town.services[0]
    user, _ = await town.somebody()
    stranger, _ = await town.somebody()
    brief = timedelta(seconds=3)
    async with AsyncExitStack() as stack:
        token = await service.sign_in(user, brief)
        renewed = await stack.enter_async_context(connected(service, token))
        ending = await stack.enter_async_context(connected(service, token))
        stream = asyncio.create_task(streamed(service, token))
        await follow(renewed)
        await follow(ending)
        refused = await shown(renewed, await service.sign_in(stranger))
        assert "not of the user" in refused["error"]
        assert "token" in (await shown(renewed, "nonsense"))["error"]
        assert (await shown(renewed, await service.sign_in(user)))["expiresAt"].endswith("Z")
        assert await ending.closed() == (FORBIDDEN, "Token expired")
        assert "complete" not in await stream
        await renewed.subscribe("2", "{ __typename }")
        assert (await renewed.recv())["type"] == "next"


async def shown(wire: Wire, token: str) -> dict[str, Any]:
    await wire.send(type="ping", payload={"authorization": f"Bearer {token}"})
    pong = await wire.recv()
    assert pong["type"] == "pong"
    payload: dict[str, Any] = pong["payload"]
    return payload


@pytest.mark.parametrize(
    "authorization", ["Bearer nonsense", "Basic abc", 7, "Bearer penstock_a_b"]
)
async def test_a_bad_credential_is_refused_and_none_is_nobody(
    town: Town, authorization: Any
) -> None:
    service = town.services[0]
    async with dialling(service.url, PROTOCOL) as wire:
        await wire.send(type="connection_init", payload={"authorization": authorization})
        code, reason = await wire.closed()
    assert code == FORBIDDEN
    assert str(reason).startswith("Forbidden: ")
    if isinstance(authorization, str):
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                f"{service.url}/graphql",
                json={"query": "{ __typename }"},
                headers={"authorization": authorization},
            )
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    async with dialling(service.url, PROTOCOL) as wire:
        await wire.send(type="connection_init")
        assert await wire.recv() == {"type": "connection_ack"}
        await wire.subscribe("1", FOLLOW)
        assert (await wire.recv())["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_foreign_workspace_is_forbidden_whatever_is_asked(town: Town) -> None:
    user, _ = await town.somebody()
    _, foreign = await town.somebody()
    token = await town.sign_in(user)
    for workspace in (foreign, UUID(int=3)):
        answer = await asked(town.services[0], token, workspace)
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    async with dialling(town.services[0].url, PROTOCOL) as wire:
        payload = {"authorization": f"Bearer {token}", "workspace": str(foreign)}
        await wire.send(type="connection_init", payload=payload)
        assert (await wire.closed())[0] == FORBIDDEN


async def test_the_handshake_headers_count_and_the_url_does_not(town: Town) -> None:
    user, _ = await town.somebody()
    token = await town.sign_in(user)
    headers = {"authorization": f"Bearer {token}"}
    service = town.services[0]
    async with dialling(service.url, PROTOCOL, additional_headers=headers) as wire:
        await wire.send(type="connection_init")
        assert "expiresAt" in (await wire.recv())["payload"]
    url = f"{service.url.replace('http', 'ws')}/graphql?token={token}"
    async with connect(url, subprotocols=[Subprotocol(PROTOCOL)]) as socket:
        await socket.send('{"type":"connection_init"}')
        assert await socket.recv() == '{"type":"connection_ack"}'


async def test_the_keys_of_tokens_are_published(town: Town) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{town.services[0].url}/.well-known/jwks.json")
    keys = answer.json()["keys"]
    assert {(key["kty"], key["crv"], key["use"]) for key in keys} == {("OKP", "Ed25519", "sig")}
    assert not any("d" in key for key in keys)
    assert "max-age" in answer.headers["cache-control"]


async def asked(service: Service, token: str, workspace: UUID | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    if workspace is not None:
        headers["x-penstock-workspace"] = str(workspace)
    async with httpx.AsyncClient() as client:
        return await client.post(
            f"{service.url}/graphql", json={"query": "{ __typename }"}, headers=headers
        )


async def streamed(service: Service, token: str) -> str:
    """All that a subscription over SSE gives until it ends."""
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(
            f"{service.url}/graphql", json={"query": FOLLOW}, headers=headers
        )
    return answer.text
