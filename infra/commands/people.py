"""What `penstock user` and `penstock token` do: an operator's acts, beside a running service or without one."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import orjson
import typer
from rich.console import Console
from rich.table import Table

from domain.errors import InvalidInput
from domain.identity import (
    Act,
    Caller,
    Forbidden,
    LastOwner,
    PersonalWorkspace,
    Role,
    User,
    UserStatus,
    operating,
    passwords,
    profile,
)
from domain.identity.door import Door
from domain.identity.operating import EmailTaken, NoSuchUser, NotActive, Person
from domain.identity.ownership import SoleOwner
from domain.ports import Database as DatabasePort
from infra.commands import database
from infra.console import output
from infra.identity import issuer
from infra.keyring import vault_of
from infra.mail.mailers import mailer_of
from infra.mail.post import Posting
from infra.postgres.database import Database
from infra.postgres.roles import ACCOUNTS
from infra.postgres.tenancy import Tenancy
from infra.security.door import build_door
from infra.security.keys import KEY_FILE
from infra.security.passwords import PasswordHashes
from infra.security.tokens import AccessTokens, access_tokens
from infra.settings import NEW_KEY, Settings
from infra.startup import CannotRun
from infra.system import RandomIds, SystemClock

PASSWORD_BYTES = 15
WIDTH = 120
Asked = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class Desk:
    """What an operator's command works with."""

    accounts: DatabasePort
    door: Door
    tokens: AccessTokens
    caller: Caller


async def add(
    settings: Settings,
    email: str,
    *,
    name: str,
    password: Asked,
    adopt: bool,
    workspace: UUID | None,
    role: Role,
) -> None:
    """Add a user, or find the one there is to have them adopt or enter workspaces; prints what was made."""
    async with _desk(settings, "userAdd") as desk:
        known = await _known(desk, email)
        if known is not None and not adopt and workspace is None:
            raise CannotRun(f"{known.email} has an account already")
        given = None if known is not None else await _password(desk, email, name, password)
        async with desk.accounts.write() as session:
            user = (
                await operating.user_at(session, email)
                if given is None
                else await operating.add_user(
                    session, desk.door, email=email, name=name, password_hash=given.hash
                )
            )
            entered = await operating.adopt(session, desk.door, user) if adopt else []
            if workspace is not None:
                entered.append(await operating.enter(session, desk.door, user, workspace, role))
    if given is not None:
        typer.echo(f"added {user.email}")
        _tell(given)
    for item in entered:
        typer.echo(f"{user.email} is in {item.name} ({item.id})")
    if adopt and not entered:
        typer.echo("no workspace is without members")


async def show(settings: Settings, as_json: bool) -> None:
    """Print everybody."""
    async with _desk(settings, "userList") as desk, desk.accounts.read() as session:
        people = await operating.people(session)
    if as_json:
        typer.echo(orjson.dumps([_facts(one) for one in people], option=orjson.OPT_INDENT_2))
        return
    table = Table("e-mail", "name", "state", "second factor", "workspaces", "last seen", box=None)
    for person in people:
        facts = _facts(person)
        seen = person.last_used_at
        table.add_row(
            person.user.email,
            person.user.name,
            str(facts["state"]),
            "yes" if person.user.second_factor else "no",
            str(person.workspaces),
            f"{seen:%Y-%m-%d %H:%M} UTC" if seen else "never",
        )
    Console(width=max(output.width, WIDTH), highlight=False, markup=False).print(table)


async def deactivate(settings: Settings, email: str, undo: bool) -> None:
    """Close an account, or open it again."""
    action = "userReactivate" if undo else "userDeactivate"
    async with _desk(settings, action) as desk, desk.accounts.write() as session:
        user = await operating.user_at(session, email)
        if undo:
            await operating.reactivate(session, desk.door, user)
        else:
            await profile.deactivate(session, desk.door, user.id)
    typer.echo(f"{user.email} {'may sign in again' if undo else 'is deactivated'}")


async def reset_password(
    settings: Settings, email: str, password: Asked, second_factor_off: bool
) -> None:
    """Give a user a new password and end their sessions."""
    async with _desk(settings, "userResetPassword") as desk:
        async with desk.accounts.read() as session:
            user = await operating.user_at(session, email)
        given = await _password(desk, user.email, user.name, password)
        async with desk.accounts.write() as session:
            user = await operating.user_at(session, email)
            await operating.set_password(
                session, desk.door, user, given.hash, second_factor_off=second_factor_off
            )
    typer.echo(f"{user.email} has a new password; their sessions are ended")
    _tell(given)


async def token(settings: Settings, email: str, minutes: int) -> None:
    """Print an access token of a session that lasts as long as the token."""
    brief = settings.model_copy(update={"access_token_minutes": minutes, "session_days": 1})
    async with _desk(brief, "operatorToken") as desk:
        await desk.tokens.start()
        async with desk.accounts.write() as session:
            user = await operating.user_at(session, email)
            signed_in = await operating.act_as(session, desk.door, user, desk.caller)
    typer.echo(signed_in.access_token)


@dataclass(frozen=True, slots=True)
class _Given:
    hash: str
    generated: str | None


async def _password(desk: Desk, email: str, name: str, asked: Asked) -> _Given:
    given = asked()
    generated = None if given else secrets.token_urlsafe(PASSWORD_BYTES)
    checked = passwords.check_password(desk.door, "password", given or generated or "", email, name)
    return _Given(await desk.door.hasher.hash(checked), generated)


async def _known(desk: Desk, email: str) -> User | None:
    async with desk.accounts.read() as session:
        try:
            return await operating.user_at(session, email)
        except NoSuchUser:
            return None


@asynccontextmanager
async def _desk(settings: Settings, action: str) -> AsyncIterator[Desk]:
    """The tables of identity, with what is changed in the audit as the operator's act."""
    clock, ids, hasher = SystemClock(), RandomIds(), PasswordHashes()
    _require_keys(settings)
    caller = Caller(None, f"operator-{uuid4().hex}", agent="penstock command")
    try:
        async with (
            database.beside(settings) as url,
            Database(
                url, pool_size=2, application_name="penstock operator", role=ACCOUNTS
            ) as connected,
        ):
            accounts = Tenancy(connected, connected).accounts(Act(caller, action))
            vault = vault_of(settings)
            tokens = access_tokens(settings, accounts, vault, clock, ids, issuer(settings))
            post = Posting(mailer_of(settings, clock))
            door = build_door(settings, hasher, tokens, post, vault, clock, ids)
            yield Desk(accounts, door, tokens, caller)
    except (InvalidInput, NoSuchUser, EmailTaken, NotActive) as error:
        raise CannotRun(_why(error)) from None
    except SoleOwner as error:
        there = ", ".join(error.workspace_ids)
        raise CannotRun(
            f"others would be without an owner in {there}: make another member the owner first,"
            " as `penstock user add EMAIL --workspace ID --role OWNER` does"
        ) from None
    except LastOwner:
        raise CannotRun(
            "the workspace would be left without an owner: make another member the owner first"
        ) from None
    except (Forbidden, PersonalWorkspace):
        raise CannotRun("there is no such workspace that others can enter") from None
    finally:
        hasher.close()


def _require_keys(settings: Settings) -> None:
    """A key made here would be another than that of the services on a shared database."""
    there = (settings.data_dir.expanduser() / KEY_FILE).exists()
    if settings.database_url is not None and not settings.encryption_keys and not there:
        raise CannotRun(
            "PENSTOCK_ENCRYPTION_KEYS is not set: give the one of the services on this database,"
            f" or make one with `{NEW_KEY}` when there is none yet"
        )


def _why(error: Exception) -> str:
    match error:
        case InvalidInput():
            return f"the {error.field} {error.reason}"
        case NoSuchUser():
            return f"nobody has the address {error.email}; see `penstock user list`"
        case EmailTaken():
            return f"{error.email} has an account already"
        case NotActive():
            return f"the account of {error.email} is not active"
    raise error


def _tell(given: _Given) -> None:
    if given.generated is not None:
        typer.echo(f"password: {given.generated}")


def _facts(person: Person) -> dict[str, object]:
    user = person.user
    state = user.status.value
    if user.status is UserStatus.ACTIVE and user.email_verified_at is None:
        state = "unverified"
    return {
        "id": str(user.id),
        "email": user.email,
        "name": user.name,
        "state": state,
        "secondFactor": user.second_factor,
        "workspaces": person.workspaces,
        "createdAt": user.created_at,
        "lastUsedAt": person.last_used_at,
    }
