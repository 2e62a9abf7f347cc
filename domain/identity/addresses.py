"""Another e-mail address for an account: asked for with its password, proven by whoever reads the new one."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import InvalidInput
from domain.identity import mails, one_time
from domain.identity.accounts import OneTimePurpose, User, UserStatus
from domain.identity.denials import TokenInvalid
from domain.identity.door import Door
from domain.identity.passwords import reauthenticate
from domain.identity.ports import Mail
from domain.identity.registration import clean_email, user_by_email
from domain.identity.viewer import Caller
from domain.ports import Database

CHANGE_LIFETIME: Final = timedelta(hours=1)
_EMAIL: Final = "email"


async def request_email_change(
    database: Database,
    door: Door,
    caller: Caller,
    user_id: UUID,
    *,
    email: str,
    password: str,
    code: str | None,
) -> str:
    """Mail the new address a token, and the old one a notice; the new address. Raises what proving oneself raises.

    An address that has an account is told so instead: whoever asks learns nothing of it. An account without a password
    gets one by mail first: a stolen session must not become a way in for good.
    """
    email = clean_email("email", email)
    user = await reauthenticate(
        database, door, user_id, password=password, code=code, code_needed=True
    )
    if email == user.email:
        raise InvalidInput(field="email", reason="is the account's address already")
    begun = door.pace.begin()
    async with database.write() as session:
        sent = await _asked(session, door, user, email)
    for mail in sent:
        door.post.send(mail, caller.request_id)
    await door.pace.even_out(begun)
    return email


async def confirm_email_change(
    database: Database, door: Door, caller: Caller, user_id: UUID, token: str
) -> User:
    """Have the new address be the account's; sessions go on, and all its other tokens are worthless.

    Raises TokenInvalid, also for another user's token and for an address that somebody took meanwhile.
    """
    now = door.clock.now()
    async with database.write() as session:
        found = await one_time.redeem(session, token, OneTimePurpose.CHANGE_EMAIL, now)
        email = found.facts[_EMAIL]
        if found.user_id != user_id or await user_by_email(session, email) is not None:
            raise TokenInvalid
        user = await session.get_one(User, user_id, with_for_update=True)
        former = user.email
        user.email = email
        user.email_verified_at = user.updated_at = now
        try:
            await session.flush()
        except IntegrityError:  # a registration of the address was first
            raise TokenInvalid from None
        await one_time.void_all(session, user_id, now)
    door.post.send(mails.address_left(former), caller.request_id)
    return user


async def _asked(session: AsyncSession, door: Door, user: User, email: str) -> list[Mail]:
    """What is mailed; a token is made, and counted, whether or not the address can be had."""
    now, purpose = door.clock.now(), OneTimePurpose.CHANGE_EMAIL
    if await one_time.too_many(session, user.id, purpose, now):
        return []
    await one_time.void(session, user.id, purpose, now)
    token = await one_time.give_token(
        session, door, user.id, purpose, CHANGE_LIFETIME, {_EMAIL: email}
    )
    sent = [mails.address_leaving(user.email)]
    holder = await user_by_email(session, email)
    if holder is None:
        sent.append(mails.change_email(email, token, door.rules.app_url))
    elif holder.status is UserStatus.ACTIVE:
        sent.append(mails.address_wanted(email))
    return sent
