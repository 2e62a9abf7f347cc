"""The roles that Penstock's own login role takes on, so that PostgreSQL itself holds each part to what it may do."""

from collections.abc import Sequence
from typing import Final

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

API: Final = "penstock_api"
"""Whoever asks over GraphQL: row-level security shows and admits what is the viewer's."""

ACCOUNTS: Final = "penstock_accounts"
"""The service as it signs people in: the tables of identity, all of them, and nothing else."""

INGEST: Final = "penstock_ingest"
"""The writer and the connectors' processes: the stream of every workspace. It owns `messages`: COPY wants that
where there is row-level security."""

ROLES: Final = (API, ACCOUNTS, INGEST)

_SET_OPTION_SINCE = 16

_CREATE = """
do $$ begin
    create role {role} nologin noinherit;
exception when duplicate_object or unique_violation then
    null;  -- another database of this server has it, or makes it just now
end $$
"""
_DROP = """
do $$ begin
    drop role if exists {role};
exception when dependent_objects_still_exist or insufficient_privilege or object_in_use
    or internal_error then  -- the last: a database that needs it is being dropped just now
    null;  -- another database of this server needs it
end $$
"""


_TOO_STRONG = """
    select rolname from pg_roles
    where rolname in ({}) and (rolsuper or rolbypassrls or rolcanlogin
        or exists (select from pg_auth_members where member = pg_roles.oid))
    order by rolname
""".format(", ".join(f"'{role}'" for role in ROLES))  # noqa: S608


class RolesMissing(Exception):
    """The login role has not the roles it needs, or they may too much; the message says what to run."""


def advice(login: str) -> str:
    """What a superuser runs once, for the login role to take on the roles."""
    made = " ".join(f"CREATE ROLE {role} NOLOGIN NOINHERIT;" for role in ROLES)
    return f'{made} GRANT {", ".join(ROLES)} TO "{login}";'


def curbing(strong: Sequence[str]) -> str:
    """What a superuser runs for roles to be held by row-level security, beside revoking what they are members of."""
    return " ".join(f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS NOLOGIN;" for role in strong)


def ensure(connection: Connection) -> None:
    """Make what roles are missing, and the login role a member of each; raises RolesMissing.

    A role of that name that was there already and passes row-level security is refused: it would show everybody's rows.

    Roles belong to the server, not to one database: several migrations may try at once.
    """
    login: str = connection.scalar(text("select current_user")) or ""
    try:
        for role in ROLES:
            if not _exists(connection, role):
                connection.execute(text(_CREATE.format(role=role)))
            if not _taken(connection, role):
                connection.execute(text(f'grant {role} to "{login}"{_options(connection)}'))
    except DBAPIError as error:
        if not isinstance(
            getattr(error.orig, "__cause__", None), asyncpg.InsufficientPrivilegeError
        ):
            raise
        raise RolesMissing(
            f"the database user {login} may not make the roles Penstock divides its work among;"
            f" have a superuser run: {advice(login)}"
        ) from error
    if strong := list(connection.scalars(text(_TOO_STRONG))):
        raise RolesMissing(
            f"{', '.join(strong)} may sign in, pass row-level security or act as another role;"
            f" have a superuser revoke what they are members of and run: {curbing(strong)}"
        )


def drop_unused(connection: Connection) -> None:
    """Drop the roles, as far as no other database of the server needs them."""
    for role in ROLES:
        connection.execute(text(_DROP.format(role=role)))


async def missing(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """The roles that the login role cannot take on."""
    option = "set" if connection.get_server_version().major >= _SET_OPTION_SINCE else "member"
    found = await connection.fetch(
        "select rolname from pg_roles where rolname = any($1::text[])"
        " and pg_has_role(session_user, oid, $2)",
        list(ROLES),
        option,
    )
    able = {row["rolname"] for row in found}
    return [role for role in ROLES if role not in able]


async def too_strong(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """The roles that may sign in, pass row-level security or act as another."""
    return [row["rolname"] for row in await connection.fetch(_TOO_STRONG)]


def _exists(connection: Connection, role: str) -> bool:
    query = text("select exists (select from pg_roles where rolname = :role)")
    return bool(connection.scalar(query, {"role": role}))


def _taken(connection: Connection, role: str) -> bool:
    """Whether the login role may take the role on, and has its rights without doing so, as an owner needs."""
    option = "set" if _knows_options(connection) else "member"
    query = text(f"select pg_has_role(:role, '{option}') and pg_has_role(:role, 'usage')")
    return bool(connection.scalar(query, {"role": role}))


def _options(connection: Connection) -> str:
    return " with set true, inherit true" if _knows_options(connection) else ""


def _knows_options(connection: Connection) -> bool:
    """PostgreSQL 16 told apart who may take a role on, who inherits it, and who may grant it."""
    version = connection.scalar(text("show server_version_num")) or "0"
    return int(version) >= _SET_OPTION_SINCE * 10_000
