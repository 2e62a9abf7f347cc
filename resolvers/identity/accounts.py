"""Accounts: being let in, staying in, and how one proves who one is."""

from dataclasses import dataclass
from typing import Annotated

import strawberry

from domain.identity import (
    Permission,
    SessionEnd,
    SessionRecord,
    User,
    Viewer,
    addresses,
    mails,
    passwords,
    profile,
    registration,
    second_factor,
    sessions,
    signing_in,
)
from domain.identity.denials import SessionNotFound
from domain.identity.profile import AccountPatch
from domain.identity.second_factor import Enrolment, RecoveryCodes
from domain.identity.sessions import SignedIn, SignedOut
from domain.paging import Page, window
from resolvers import ids
from resolvers.context import Context, Info
from resolvers.identity.scope import as_given, owned_as_given, user_of
from resolvers.paging import After, Before, First, Last
from schema.inputs.identity.accounts import (
    ChangeEmailInput,
    ChangePasswordInput,
    ConfirmEmailChangeInput,
    ConfirmTotpInput,
    DeactivateAccountInput,
    DisableTotpInput,
    EndSessionInput,
    EnrolTotpInput,
    RefreshSessionInput,
    RegisterInput,
    RenewRecoveryCodesInput,
    RequestPasswordResetInput,
    ResendVerificationInput,
    ResetPasswordInput,
    SignInInput,
    SignOutInput,
    UpdateAccountInput,
    VerifyEmailInput,
)


@dataclass(frozen=True, slots=True)
class MailRequest:
    """A wish that is answered by mail, or not at all."""

    email: str


async def viewer(info: Info) -> Viewer:
    """Who asks; raises Unauthenticated."""
    return info.context.viewer


async def user_of_viewer(root: strawberry.Parent[Viewer], info: Info) -> User | None:
    """The signed-in person; None for an API key."""
    return None if root.user_id is None else await info.context.users.load(root.user_id)


def permissions_of_viewer(root: strawberry.Parent[Viewer]) -> list[Permission]:
    """What the viewer may do, in the order of the permissions' table."""
    return [permission for permission in Permission if permission in root.permissions]


async def sessions_of_viewer(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[SessionRecord] | None:
    """A page of the user's sessions, newest first; None for an API key."""
    context, asked = info.context, window(first, after, last, before)
    if context.viewer.user_id is None:
        return None
    now = context.services.clock.now()
    return await sessions.sessions_of(context.database, context.viewer.user_id, now, asked)


def is_current(root: strawberry.Parent[SessionRecord], info: Info) -> bool:
    """Whether it is the session that asks."""
    return root.id == info.context.viewer.session_id


async def visible_session(context: Context, id: str) -> SessionRecord | None:
    """One of the viewer's sessions that go on."""
    key = ids.uuid_in(id, "DeviceSession")
    if key is None or context.viewer.user_id is None:
        return None
    async with context.database.read() as session:
        return await sessions.session_of(
            session, context.viewer.user_id, key, context.services.clock.now()
        )


async def register(
    info: Info,
    input: Annotated[RegisterInput, strawberry.argument(description="Who wants an account.")],
) -> MailRequest:
    """Take a registration."""
    context = info.context
    email = await registration.register(
        context.accounts,
        context.services.door,
        context.caller,
        email=input.email,
        password=input.password,
        name=input.name,
        time_zone=input.time_zone,
    )
    return MailRequest(email)


async def resend_verification(
    info: Info,
    input: Annotated[ResendVerificationInput, strawberry.argument(description="Whom to mail.")],
) -> MailRequest:
    """Send the mail for verification again."""
    context = info.context
    email = await registration.resend_verification(
        context.accounts, context.services.door, context.caller, input.email
    )
    return MailRequest(email)


async def verify_email(
    info: Info,
    input: Annotated[VerifyEmailInput, strawberry.argument(description="The mailed token.")],
) -> User:
    """Prove an address."""
    context = info.context
    return await registration.verify_email(context.accounts, context.services.door, input.token)


async def sign_in(
    info: Info,
    input: Annotated[SignInInput, strawberry.argument(description="Who one is, with proof.")],
) -> SignedIn:
    """Let somebody in."""
    context = info.context
    return await signing_in.sign_in(
        context.accounts,
        context.services.door,
        context.caller,
        email=input.email,
        password=input.password,
        code=input.totp,
    )


async def refresh_session(
    info: Info,
    input: Annotated[
        RefreshSessionInput, strawberry.argument(description="The session's last token.")
    ],
) -> SignedIn:
    """Continue a session."""
    context = info.context
    return await sessions.refresh_session(
        context.accounts, context.services.door, context.caller, input.refresh_token
    )


async def sign_out(
    info: Info,
    input: Annotated[SignOutInput, strawberry.argument(description="Which sessions to end.")],
) -> SignedOut:
    """End this session, or all of the user's."""
    context = info.context
    user_id, session_id = user_of(context.viewer), context.viewer.session_id
    own = "" if session_id is None else ids.global_id("DeviceSession", session_id)
    with as_given(SessionNotFound, own):
        async with context.accounts.write() as session:
            return await signing_in.sign_out(
                session, context.services.door, user_id, session_id, input.everywhere
            )


async def end_session(
    info: Info,
    input: Annotated[EndSessionInput, strawberry.argument(description="Which session to end.")],
) -> SessionRecord:
    """End one of the user's sessions."""
    context = info.context
    user_id, key = user_of(context.viewer), ids.uuid_in(input.id, "DeviceSession")
    if key is None:
        raise SessionNotFound(id=input.id)
    now = context.services.clock.now()
    with as_given(SessionNotFound, input.id):
        async with context.accounts.write() as session:
            return await sessions.end_session(session, user_id, key, SessionEnd.ENDED, now)


async def change_password(
    info: Info,
    input: Annotated[ChangePasswordInput, strawberry.argument(description="Both passwords.")],
) -> User:
    """Change the password and end the user's other sessions."""
    context = info.context
    return await passwords.change_password(
        context.accounts,
        context.services.door,
        context.caller,
        user_of(context.viewer),
        old=input.old_password,
        new=input.new_password,
        session_id=context.viewer.session_id,
    )


async def request_password_reset(
    info: Info,
    input: Annotated[RequestPasswordResetInput, strawberry.argument(description="Whom to mail.")],
) -> MailRequest:
    """Send a token for a new password."""
    context = info.context
    email = registration.clean_email("email", input.email)
    await passwords.request_password_reset(
        context.accounts, context.services.door, context.caller, email
    )
    return MailRequest(email)


async def reset_password(
    info: Info,
    input: Annotated[
        ResetPasswordInput, strawberry.argument(description="The mailed token and the password.")
    ],
) -> User:
    """Set a new password and end all of the user's sessions."""
    context = info.context
    return await passwords.reset_password(
        context.accounts, context.services.door, context.caller, input.token, input.password
    )


async def update_account(
    info: Info,
    input: Annotated[UpdateAccountInput, strawberry.argument(description="What to change.")],
) -> User:
    """Change the user's own data."""
    context, patch = info.context, AccountPatch()
    if input.name is not None:
        patch["name"] = input.name.value
    if input.time_zone is not None:
        patch["time_zone"] = input.time_zone.value
    async with context.database.write() as session:
        return await profile.update_account(
            session, context.services.door, user_of(context.viewer), patch
        )


async def change_email(
    info: Info,
    input: Annotated[ChangeEmailInput, strawberry.argument(description="The address, and proof.")],
) -> MailRequest:
    """Have the new address prove itself."""
    context = info.context
    email = await addresses.request_email_change(
        context.accounts,
        context.services.door,
        context.caller,
        user_of(context.viewer),
        email=input.email,
        password=input.password,
        code=input.totp,
    )
    return MailRequest(email)


async def confirm_email_change(
    info: Info,
    input: Annotated[ConfirmEmailChangeInput, strawberry.argument(description="The mailed token.")],
) -> User:
    """Have the new address be the account's."""
    context = info.context
    return await addresses.confirm_email_change(
        context.accounts,
        context.services.door,
        context.caller,
        user_of(context.viewer),
        input.token,
    )


async def deactivate_account(
    info: Info,
    input: Annotated[
        DeactivateAccountInput, strawberry.argument(description="Proof of who closes it.")
    ],
) -> User:
    """Close the user's account."""
    user = await _proven(info, input.password, input.totp)
    with owned_as_given():
        async with info.context.accounts.write() as session:
            return await profile.deactivate(session, info.context.services.door, user.id)


async def enrol_totp(
    info: Info,
    input: Annotated[EnrolTotpInput, strawberry.argument(description="Proof of who wants it.")],
) -> Enrolment:
    """Begin a second factor."""
    user = await _proven(info, input.password, code_needed=False)
    async with info.context.accounts.write() as session:
        return await second_factor.enrol(session, info.context.services.door, user)


async def confirm_totp(
    info: Info,
    input: Annotated[ConfirmTotpInput, strawberry.argument(description="The app's first code.")],
) -> RecoveryCodes:
    """Turn the second factor on."""
    viewer = info.context.viewer
    async with info.context.accounts.write() as session:
        codes = await second_factor.confirm(
            session, info.context.services.door, user_of(viewer), viewer.session_id, input.totp
        )
        user = await session.get_one(User, viewer.user_id)
    _tell(info, user)
    return codes


async def disable_totp(
    info: Info,
    input: Annotated[DisableTotpInput, strawberry.argument(description="Both factors.")],
) -> User:
    """Turn the second factor off."""
    user = await _proven(info, input.password, input.totp)
    async with info.context.accounts.write() as session:
        user = await second_factor.disable(session, info.context.services.door, user.id)
    _tell(info, user)
    return user


async def renew_recovery_codes(
    info: Info,
    input: Annotated[RenewRecoveryCodesInput, strawberry.argument(description="Both factors.")],
) -> RecoveryCodes:
    """Replace the recovery codes."""
    user = await _proven(info, input.password, input.totp)
    async with info.context.accounts.write() as session:
        return await second_factor.renew_codes(session, info.context.services.door, user.id)


async def _proven(
    info: Info, password: str | None, code: str | None = None, *, code_needed: bool = True
) -> User:
    """The signed-in user, who proved it again: with a code too where the second factor is on."""
    context = info.context
    return await passwords.reauthenticate(
        context.accounts,
        context.services.door,
        user_of(context.viewer),
        password=password,
        code=code,
        code_needed=code_needed,
    )


def _tell(info: Info, user: User) -> None:
    mail = mails.notice(user.email, "The second factor")
    info.context.services.door.post.send(mail, info.context.caller.request_id)
