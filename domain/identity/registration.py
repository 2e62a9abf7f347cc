"""How people become users: nobody learns from an answer, or its time, which addresses have an account."""

import re
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import InvalidInput
from domain.identity import mails, one_time
from domain.identity.accounts import Credential, OneTimePurpose, User, UserStatus
from domain.identity.denials import TokenInvalid
from domain.identity.door import Door
from domain.identity.passwords import RESET_LIFETIME, check_password, set_password
from domain.identity.places import check_time_zone
from domain.identity.ports import Mail
from domain.identity.tenants import create_personal_workspace
from domain.identity.viewer import Caller
from domain.identity.workspaces import Invitation
from domain.ports import Database
from domain.texts import check_text

VERIFY_LIFETIME: Final = timedelta(hours=24)
_LONGEST_EMAIL: Final = 254
_EMAIL: Final = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
)
_PASSWORD: Final = "password_hash"  # noqa: S105 - the name of a fact


async def register(
    database: Database,
    door: Door,
    caller: Caller,
    *,
    email: str,
    password: str,
    name: str = "",
    time_zone: str = "UTC",
) -> str:
    """Take a registration and mail its address what to do next; the address. Raises InvalidInput.

    A known address is told that it has an account; by invitation only, an address without one is told nothing.
    """
    email = clean_email("email", email)
    name = clean_name("name", name)
    check_time_zone("timeZone", time_zone)
    password = check_password(door, "password", password, email, name)
    begun = door.pace.begin()
    hash = await door.hasher.hash(password)
    async with database.write() as session:
        mail = await _entered(session, door, email, name, time_zone, hash)
    if mail is not None:
        door.post.send(mail, caller.request_id)
    await door.pace.even_out(begun)
    return email


async def resend_verification(database: Database, door: Door, caller: Caller, email: str) -> str:
    """Mail a new token to an address that waits to be verified; says nothing of any other."""
    email, begun = clean_email("email", email), door.pace.begin()
    async with database.write() as session:
        user = await user_by_email(session, email)
        mail = None
        if user is not None and _waits(user):
            last = await one_time.newest(session, user.id, OneTimePurpose.VERIFY_EMAIL)
            mail = await _verification(session, door, user, last.facts if last else {})
    if mail is not None:
        door.post.send(mail, caller.request_id)
    await door.pace.even_out(begun)
    return email


async def verify_email(database: Database, door: Door, token: str) -> User:
    """Prove an address with the mailed token; raises TokenInvalid.

    The password is from now on that of the registration which the token was mailed for: whoever registers
    somebody else's address beforehand gains nothing.
    """
    now = door.clock.now()
    async with database.write() as session:
        found = await one_time.redeem(session, token, OneTimePurpose.VERIFY_EMAIL, now)
        user = await session.get_one(User, found.user_id)
        if not _waits(user):
            raise TokenInvalid
        user.email_verified_at = user.updated_at = now
        hash = found.facts.get(_PASSWORD)
        if hash is not None:
            set_password(door, await session.get_one(Credential, user.id), hash)
    return user


async def new_user(
    session: AsyncSession,
    door: Door,
    *,
    email: str,
    name: str = "",
    time_zone: str = "UTC",
    password_hash: str | None = None,
    verified: bool = False,
) -> User:
    """A user with their personal workspace; the address must be clean and nobody's."""
    now = door.clock.now()
    user = User(
        id=door.ids.new(),
        email=email,
        name=name,
        time_zone=time_zone,
        email_verified_at=now if verified else None,
        created_at=now,
        updated_at=now,
    )
    session.add(user)
    await session.flush()
    session.add(
        Credential(
            user_id=user.id,
            password_hash=password_hash,
            password_changed_at=now if password_hash else None,
        )
    )
    await create_personal_workspace(session, door.ids.new(), user, now)
    return user


async def user_by_email(session: AsyncSession, email: str) -> User | None:
    """The user with this clean address, in whichever state."""
    return await session.scalar(select(User).where(func.lower(col(User.email)) == email))


async def invited(session: AsyncSession, email: str, now: datetime) -> bool:
    """Whether an invitation waits for this clean address."""
    statement = select(Invitation.id).where(
        func.lower(col(Invitation.email)) == email,
        col(Invitation.accepted_at).is_(None),
        col(Invitation.revoked_at).is_(None),
        col(Invitation.expires_at) > now,
    )
    return await session.scalar(statement.limit(1)) is not None


def clean_email(field: str, text: str) -> str:
    """An address in lower case, as it is stored and compared; raises InvalidInput for what is none."""
    email = text.strip().lower()
    if len(email) > _LONGEST_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidInput(field=field, reason="is not an e-mail address")
    return email


def clean_name(field: str, text: str) -> str:
    """A person's name without blanks around it; raises InvalidInput."""
    name = text.strip()
    check_text(field, name, 0, 200)
    if not name.isprintable():
        raise InvalidInput(field=field, reason="must not contain control characters")
    return name


async def _entered(
    session: AsyncSession, door: Door, email: str, name: str, time_zone: str, hash: str
) -> Mail | None:
    user = await user_by_email(session, email)
    if user is None:
        if door.rules.invited_only and not await invited(session, email, door.clock.now()):
            return None
        try:
            async with session.begin_nested():
                user = await new_user(
                    session,
                    door,
                    email=email,
                    name=name,
                    time_zone=time_zone,
                    password_hash=hash,
                )
        except IntegrityError:  # another registration of the address was first
            user = await user_by_email(session, email)
    if user is None or not _waits(user):
        return None if user is None else await _reminder(session, door, user)
    return await _verification(session, door, user, {_PASSWORD: hash})


async def _verification(
    session: AsyncSession, door: Door, user: User, facts: dict[str, str]
) -> Mail | None:
    now, purpose = door.clock.now(), OneTimePurpose.VERIFY_EMAIL
    if await one_time.too_many(session, user.id, purpose, now):
        return None
    token = await one_time.give_token(session, door, user.id, purpose, VERIFY_LIFETIME, facts)
    return mails.verify_email(user.email, token, door.rules.app_url)


async def _reminder(session: AsyncSession, door: Door, user: User) -> Mail | None:
    """What somebody is told who registers again: with a way in, should the password be forgotten."""
    now, purpose = door.clock.now(), OneTimePurpose.RESET_PASSWORD
    if user.status is not UserStatus.ACTIVE:
        return None
    if await one_time.too_many(session, user.id, purpose, now):
        return None
    token = await one_time.give_token(session, door, user.id, purpose, RESET_LIFETIME)
    return mails.already_registered(user.email, token, door.rules.app_url)


def _waits(user: User) -> bool:
    return user.status is UserStatus.ACTIVE and user.email_verified_at is None
