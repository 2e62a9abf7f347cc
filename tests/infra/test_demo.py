"""The demo's user: on this machine alone, with a password that is kept."""

import stat
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import col, select

from domain.connectors import Connector
from domain.identity import Member, Role, User, Workspace
from infra.demo import DEMO_EMAIL, HOME, PASSWORD_FILE
from infra.postgres.database import Database
from infra.security.keys import new_key
from tests import factories
from tests.infra.test_cli import penstock
from tests.service import Service

SIGN_IN = """mutation SignIn($password: String!) {
  signIn(input: { email: "demo@penstock.local", password: $password }) { __typename } }"""
CLICK = {"x-penstock-preflight": "1"}


def test_the_demo_listens_on_this_machine_alone(tmp_path: Path, empty_database_url: str) -> None:
    done = penstock(
        "up", "--demo", "--host", "0.0.0.0", "--port", "0", directory=tmp_path,
        PENSTOCK_DATABASE_URL=empty_database_url, PENSTOCK_DATA_DIR=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 3
    assert "listens on this machine alone" in done.stderr
    assert not (tmp_path / PASSWORD_FILE).exists()


async def signs_in(service: Service, password: str) -> bool:
    answer = await service.ask(SIGN_IN, {"password": password})
    return bool(answer["signIn"]["__typename"] == "Session")


async def click(service: Service, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=30) as client:
        return await client.post(f"{service.url}/auth/demo", headers=headers)


async def test_the_demo_s_user_has_a_kept_password_and_owns_what_earlier_demos_made(
    tmp_path: Path, database_url: str, database: Database
) -> None:
    await nobody_is_at_home(database)
    await factories.save(database, factories.connector(name="Binance streams"))
    settings: dict[str, Any] = {"database_url": database_url, "encryption_keys": new_key()}
    async with Service(tmp_path, "--demo", **settings) as service:
        kept = tmp_path / PASSWORD_FILE
        password = kept.read_text().strip()
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert f"{DEMO_EMAIL} with the password {password}" in service.log.read_text()
        assert await signs_in(service, password)

        page = f"http://127.0.0.1:{service.port}"
        assert (await click(service, **CLICK, origin=page)).json().keys() == {"code"}
        assert (await click(service)).status_code == 403
        assert (await click(service, **CLICK, origin="http://evil.example")).status_code == 403
        crossing = {"sec-fetch-site": "cross-site"}
        assert (await click(service, **CLICK, **crossing)).status_code == 403
    async with database.read() as session:
        user = (await session.exec(select(User).where(col(User.email) == DEMO_EMAIL))).one()
        [member] = (await session.exec(select(Member).where(col(Member.user_id) == user.id))).all()
        home = await session.get_one(Workspace, HOME)
        names = (await session.exec(select(Connector.name))).all()
    assert (member.workspace_id, member.role, home.personal) == (HOME, Role.OWNER, True)
    assert names.count("Binance streams") == 1

    async with Service(tmp_path, "--demo", **settings, demo_password="another one") as service:
        assert await signs_in(service, "another one")
        assert not await signs_in(service, password)
        assert "another one" not in service.log.read_text()


async def nobody_is_at_home(database: Database) -> None:
    """As a database was before there were accounts."""
    async with database.write() as session:
        await session.delete(await session.get_one(Workspace, HOME))
        await session.flush()
        await session.delete(await session.get_one(User, factories.OWNER_ID))
    await factories.save(database, factories.workspace(id=HOME, name="Home"))


async def test_without_the_demo_there_is_no_click(tmp_path: Path, database_url: str) -> None:
    async with Service(tmp_path, database_url=database_url) as service:
        assert (await click(service, **CLICK)).status_code in {404, 405}
        async with httpx.AsyncClient(timeout=30) as client:
            page = await client.get(f"{service.url}/graphql", headers={"accept": "text/html"})
        assert '<script type="application/json" id="penstock">{"demo":null}</script>' in page.text
