"""`penstock user` and `penstock token`: beside a running service and without one."""

import asyncio
import fcntl
import json
import os
import subprocess
import termios
import time
from base64 import b64encode
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import col, select
from typer import BadParameter

from domain.identity import (
    ApiKey,
    Credential,
    Member,
    Role,
    SessionRecord,
    User,
    UserStatus,
    Workspace,
    registration,
)
from infra.cli.options import workspace_id
from infra.cli.user import _asked
from infra.commands import people
from infra.postgres.database import Database
from infra.security.keys import new_key
from infra.settings import Settings, load_settings
from infra.startup import CannotRun
from tests import factories
from tests.infra.test_cli import PENSTOCK, environment
from tests.service import Service

EMAIL = "jo@example.com"
PASSWORD = "a password of Jo's"
VIEWER = "{ viewer { user { email } role workspace { name personal } } }"
TICKS = "subscription { messages { __typename } }"
SIGN_IN = """mutation SignIn($password: String!) {
  signIn(input: { email: "jo@example.com", password: $password }) {
    __typename ... on Session { accessToken } ... on Error { code } } }"""


class Machine:
    """Where an operator sits: a directory and its settings."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self._directory = directory
        given = {"data_dir": str(directory), **settings}
        self._variables = {f"PENSTOCK_{name.upper()}": text for name, text in given.items()}

    async def says(self, *arguments: str, stdin: str = "") -> str:
        return await asyncio.to_thread(self._run, *arguments, stdin=stdin)

    def _run(self, *arguments: str, stdin: str) -> str:
        done = subprocess.run(
            [PENSTOCK, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment(**self._variables),
            cwd=self._directory,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


async def ask(service: Service, query: str, token: str | None = None, **variables: Any) -> Any:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(timeout=30) as client:
        response = await client.post(
            f"{service.url}/graphql",
            json={"query": query, "variables": variables},
            headers=headers,
        )
    return response.json()


async def sign_in(service: Service, password: str) -> Any:
    answer = await ask(service, SIGN_IN, password=password)
    assert "errors" not in answer, answer
    return answer["data"]["signIn"]


async def test_an_operator_s_commands_are_felt_by_a_running_service(
    tmp_path: Path, database_url: str
) -> None:
    settings = {"database_url": database_url, "encryption_keys": new_key()}
    machine = Machine(tmp_path, **settings)
    async with Service(tmp_path, **settings) as service:
        added = await machine.says(
            "user", "add", EMAIL, "--name", "Jo", "--password-stdin", stdin=f"{PASSWORD}\n"
        )
        assert added == f"added {EMAIL}\n"
        assert (await sign_in(service, PASSWORD))["__typename"] == "Session"

        token = await machine.says("token", EMAIL, "--minutes", "5")
        assert token.count("\n") == 1
        service.token = token.strip()
        shown = await ask(service, VIEWER, token.strip())
        assert shown["data"]["viewer"]["user"]["email"] == EMAIL
        assert shown["data"]["viewer"]["workspace"]["personal"]

        async with service.subscription(TICKS) as ticks:
            await machine.says("user", "deactivate", EMAIL)
            done = time.monotonic()
            await asyncio.wait_for(ticks.socket.wait_closed(), 5)
            assert time.monotonic() - done < 1
        refused = await ask(service, VIEWER, token.strip())
        assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert (await sign_in(service, PASSWORD))["code"] == "INVALID_CREDENTIALS"

        await machine.says("user", "deactivate", EMAIL, "--undo")
        said = await machine.says("user", "reset-password", EMAIL)
        generated = said.rpartition("password: ")[2].strip()
        assert (await sign_in(service, PASSWORD))["__typename"] == "InvalidCredentials"
        assert (await sign_in(service, generated))["__typename"] == "Session"


async def test_commands_reach_the_embedded_database_of_a_running_service(place: Path) -> None:
    machine = Machine(place / "data")
    async with Service(place / "data") as service:
        assert "Nobody has an account yet: `penstock user add" in service.log.read_text()
        await machine.says("user", "add", EMAIL)
        token = (await machine.says("token", EMAIL)).strip()
        shown = await ask(service, VIEWER, token)
        assert shown["data"]["viewer"]["user"]["email"] == EMAIL
        listed = json.loads(await machine.says("user", "list", "--json"))
        [jo] = [item for item in listed if item["email"] == EMAIL]
        assert (jo["state"], jo["workspaces"], jo["secondFactor"]) == ("active", 1, False)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return load_settings(data_dir=tmp_path, database_url=database_url, encryption_keys=new_key())


async def add(settings: Settings, email: str = EMAIL, **options: Any) -> None:
    given: dict[str, Any] = {
        "name": "",
        "password": lambda: PASSWORD,
        "adopt": False,
        "workspace": None,
        "role": Role.VIEWER,
        **options,
    }
    await people.add(settings, email, **given)


async def user_of(database: Database) -> User:
    async with database.read() as session:
        user = await registration.user_by_email(session, EMAIL)
    assert user is not None
    return user


async def test_workspaces_without_members_are_adopted_and_no_others(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    orphan = factories.workspace(name="Home")
    await factories.save(database, orphan)
    await add(settings, adopt=True)
    user = await user_of(database)
    async with database.read() as session:
        member = await session.get(Member, (orphan.id, user.id))
        home = await session.get(Member, (factories.HOME_WORKSPACE_ID, user.id))
    assert member is not None
    assert member.role is Role.OWNER
    assert home is None
    assert f"{EMAIL} is in Home" in capsys.readouterr().out
    await add(settings, adopt=True)
    assert "no workspace is without members" in capsys.readouterr().out


async def shared_workspace(database: Database) -> Workspace:
    workspace = factories.workspace(name="Desk")
    await factories.save(database, workspace)
    await factories.save(database, factories.member(workspace.id, factories.OWNER_ID))
    return workspace


async def test_somebody_can_be_put_into_a_workspace_but_not_into_a_personal_one(
    settings: Settings, database: Database
) -> None:
    desk = await shared_workspace(database)
    await add(settings, workspace=desk.id, role=Role.ANALYST)
    await add(settings, workspace=desk.id, role=Role.ADMIN)
    user = await user_of(database)
    async with database.read() as session:
        member = await session.get(Member, (desk.id, user.id))
    assert member is not None
    assert member.role is Role.ADMIN
    for other in (factories.HOME_WORKSPACE_ID, factories.new_id()):
        with pytest.raises(CannotRun, match="no such workspace"):
            await add(settings, workspace=other)


async def test_who_is_made_less_loses_their_keys_and_a_workspace_keeps_its_owner(
    settings: Settings, database: Database
) -> None:
    desk = await shared_workspace(database)
    await add(settings, workspace=desk.id, role=Role.OWNER)
    user = await user_of(database)
    key = factories.api_key(
        workspace_id=desk.id, created_by=user.id, permissions=["manage_secrets"]
    )
    await factories.save(database, key)
    await add(settings, workspace=desk.id, role=Role.ANALYST)
    async with database.read() as session:
        assert (await session.get_one(ApiKey, key.id)).revoked_at is not None
        owner = await session.get_one(User, factories.OWNER_ID)
    with pytest.raises(CannotRun, match="left without an owner"):
        await add(settings, owner.email, workspace=desk.id, role=Role.VIEWER)


def test_a_workspace_is_named_by_the_id_that_graphql_gives_or_by_the_one_inside() -> None:
    inside = factories.new_id()
    given = b64encode(f"Workspace:{inside}".encode()).decode()
    assert workspace_id(given) == workspace_id(str(inside)) == inside
    for other in (b64encode(f"User:{inside}".encode()).decode(), "desk", ""):
        with pytest.raises(BadParameter, match="no id of a workspace"):
            workspace_id(other)


async def test_what_cannot_be_done_is_said_in_words(settings: Settings) -> None:
    await add(settings)
    with pytest.raises(CannotRun, match="has an account already"):
        await add(settings, "JO@example.com")
    with pytest.raises(CannotRun, match="the email is not an e-mail address"):
        await add(settings, "jo")
    with pytest.raises(CannotRun, match="most common passwords"):
        await add(settings, "a@example.com", password=lambda: "password123")
    for act in (
        people.deactivate(settings, "nobody@example.com", False),
        people.token(settings, "nobody@example.com", 5),
    ):
        with pytest.raises(CannotRun, match="nobody has the address"):
            await act
    await people.deactivate(settings, EMAIL, False)
    with pytest.raises(CannotRun, match="not active"):
        await people.token(settings, EMAIL, 5)


def test_an_empty_password_on_standard_input_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("\n"))
    with pytest.raises(CannotRun, match="holds no password"):
        _asked(True)


@pytest.mark.parametrize(
    ("typed", "said"),
    [((b"a good password", b"another one"), "differ"), ((b"\x03",), "no password was given")],
)
def test_a_prompt_that_comes_to_nothing_ends_in_words(
    tmp_path: Path, database_url: str, typed: tuple[bytes, ...], said: str
) -> None:
    terminal, inside = os.openpty()
    process = subprocess.Popen(
        [PENSTOCK, "user", "add", EMAIL],
        stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env=environment(
            PENSTOCK_DATABASE_URL=database_url,
            PENSTOCK_DATA_DIR=str(tmp_path),
            PENSTOCK_ENCRYPTION_KEYS=new_key(),
        ),
    )  # fmt: skip
    os.close(inside)
    told = ""
    for text, prompt in zip(typed, ("make one", "Once more"), strict=False):
        while prompt not in told or termios.tcgetattr(terminal)[3] & termios.ECHO:
            told += os.read(terminal, 4096).decode()
        os.write(terminal, text + b"\n")
    assert process.wait(30) == 3
    with suppress(OSError):  # the end of a terminal
        while more := os.read(terminal, 4096):
            told += more.decode()
    os.close(terminal)
    assert said in told
    assert "Traceback" not in told


async def test_names_are_shown_as_they_are_and_never_obeyed(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await factories.save(database, factories.user(name="[/] [red]root[/red]"))
    await people.show(settings, as_json=False)
    assert "[/] [red]root[/red]" in capsys.readouterr().out


async def test_the_last_owner_of_others_workspace_is_not_deactivated(
    settings: Settings, database: Database
) -> None:
    shared = await shared_workspace(database)
    await add(settings, workspace=shared.id)
    async with database.read() as session:
        owner = await session.get_one(User, factories.OWNER_ID)
    with pytest.raises(CannotRun, match=f"without an owner in {shared.id}"):
        await people.deactivate(settings, owner.email, False)
    assert (await _fresh(database, owner)).status is UserStatus.ACTIVE


async def test_an_operator_s_token_keeps_no_account_from_its_deletion_and_ends_with_its_session(
    settings: Settings, database: Database
) -> None:
    await add(settings)
    user = await user_of(database)
    async with database.write() as session:
        (await session.get_one(User, user.id)).deletion_due_at = factories.NOW
    await people.token(settings, EMAIL, 5)
    assert (await _fresh(database, user)).deletion_due_at == factories.NOW
    async with database.read() as session:
        [record] = (await session.exec(_sessions(user))).all()
    assert record.method.value == "operator"
    assert (record.expires_at - record.created_at).total_seconds() <= 86_400


def _sessions(user: User) -> Any:
    return select(SessionRecord).where(col(SessionRecord.user_id) == user.id)


async def test_a_reset_proves_the_address_and_can_take_a_lost_second_factor_away(
    settings: Settings, database: Database
) -> None:
    await add(settings)
    user = await user_of(database)
    async with database.write() as session:
        found = await session.get_one(User, user.id)
        found.email_verified_at, found.second_factor = None, True
        credential = await session.get_one(Credential, user.id)
        credential.totp_confirmed_at, credential.totp_sealed = factories.NOW, b"sealed"
    await people.reset_password(settings, EMAIL, lambda: None, second_factor_off=True)
    user = await _fresh(database, user)
    assert user.email_verified_at is not None
    assert not user.second_factor


async def _fresh(database: Database, user: User) -> User:
    async with database.read() as session:
        return await session.get_one(User, user.id)


async def test_a_shared_database_needs_its_services_keys(tmp_path: Path, database_url: str) -> None:
    settings = load_settings(data_dir=tmp_path / "other", database_url=database_url)
    with pytest.raises(CannotRun, match="PENSTOCK_ENCRYPTION_KEYS is not set"):
        await people.token(settings, EMAIL, 5)
    assert not settings.data_dir.exists()
