"""People, their sessions and how they prove who they are, as clients see them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from strawberry import relay

from domain import identity
from domain.identity import linking, second_factor, sessions
from resolvers.identity import accounts as resolvers
from resolvers.identity import keys as key_resolvers
from resolvers.identity import openid as openid_resolvers
from resolvers.identity import workspaces as workspace_resolvers
from schema.errors import (
    EmailNotVerified,
    InvalidCredentials,
    InvalidInput,
    NoFieldsToUpdate,
    SecondFactorOff,
    SecondFactorOn,
    SecondFactorRequired,
    SessionNotFound,
    SoleOwner,
    TokenInvalid,
    TooManyAttempts,
    WrongCode,
    WrongPassword,
    mutation,
)
from schema.views import Connection, field, plain, view, watched

if TYPE_CHECKING:
    from schema.types.identity.keys import ApiKey
    from schema.types.identity.workspaces import Workspace

_KEYS = strawberry.lazy("schema.types.identity.keys")
_WORKSPACES = strawberry.lazy("schema.types.identity.workspaces")


@view(identity.User, "A person.")
class User(relay.Node):
    id: relay.NodeID[UUID]
    name: str = plain("What they are called; empty: they did not say.")
    email: str = plain("Their e-mail address.")
    created_at: datetime = plain("When they registered.")


@view(linking.LinkedProvider, "An OpenID provider that lets one in.")
class LinkedProvider:
    name: str = plain("Its name, one of `signInProviders` unless the operator removed it.")
    linked_at: datetime = plain("When it was linked, or first let one in.")
    last_used_at: datetime = plain("When it last let one in.")


@view(identity.User, "One's own account: what nobody else sees of a user.")
class Account:
    email: str = plain("The e-mail address, which one signs in with.")
    name: str = plain("What one is called.")
    time_zone: str = plain("The IANA time zone.")
    email_verified_at: datetime | None = plain("When the e-mail address was proven.")
    second_factor: bool = plain("Whether signing in takes a code of an authenticator app.")
    deletion_due_at: datetime | None = plain(
        "When the account will be deleted, unless one signs in before; null: it stays."
    )
    created_at: datetime = plain("When one registered.")
    updated_at: datetime = plain("When the account was last changed.")
    providers: list[LinkedProvider] = field(
        openid_resolvers.linked, "The OpenID providers that let one in, the first linked first."
    )


@view(identity.SessionRecord, "A sign-in on one device.")
class DeviceSession(relay.Node):
    id: relay.NodeID[UUID]
    device: str | None = plain("What the client called itself: its User-Agent.")
    address: str | None = plain("The network address it was last used from.")
    method: identity.SignInMethod = plain("How it began.")
    second_factor: bool = plain("Whether it was begun with a second factor.")
    created_at: datetime = plain("When it began.")
    last_used_at: datetime = plain("When it was last used, to the minute.")
    expires_at: datetime = plain("When it ends unless it is refreshed.")
    current: bool = field(resolvers.is_current, "Whether it is the session that asks.")


@view(sessions.SignedIn, "What signing in gives.")
class Session:
    access_token: str = plain(
        "What requests carry, as `Authorization: Bearer ...`: a JSON Web Token."
    )
    refresh_token: str = plain("What `refreshSession` takes, once, for the next two tokens.")
    expires_at: datetime = plain("When the access token ends.")
    user: User = plain("Who signed in.")


@view(sessions.SignedOut, "What signing out ended.")
class SignedOut:
    sessions: int = plain("How many sessions ended.")


@view(resolvers.MailRequest, "What comes next was mailed, if the address allows it.")
class MailRequest:
    email: str = plain("The address, as it is stored.")


@view(second_factor.Enrolment, "A second factor that waits for its first code.")
class TotpEnrolment:
    secret: str = plain("The secret to type into an authenticator app, base32. Shown once.")
    uri: str = plain("The same as an `otpauth:` URI.")
    picture: str = plain("The URI as a QR code: an SVG image in a data URI.")


@view(second_factor.RecoveryCodes, "Codes that each stand in once for the second factor.")
class RecoveryCodes:
    codes: list[str] = plain("The codes. Shown once; earlier ones are worthless.")


@view(identity.Viewer, "Who asks, and the workspace they act in.")
class Viewer:
    user: User | None = field(resolvers.user_of_viewer, "The person; null for an API key.")
    account: Account | None = field(
        resolvers.user_of_viewer, "The person's own account; null for an API key."
    )
    workspace: Annotated["Workspace", _WORKSPACES] = field(
        workspace_resolvers.of_viewer, "The workspace they act in."
    )
    role: identity.Role | None = field(
        workspace_resolvers.role_of_viewer, "What they are in it; null for an API key."
    )
    permissions: list[identity.Permission] = field(
        resolvers.permissions_of_viewer,
        "What they may do in it: nothing while it requires a second factor that they lack.",
    )
    workspaces: Connection[Annotated["Workspace", _WORKSPACES]] = field(
        workspace_resolvers.page_of_viewer, "The workspaces they are in, oldest first."
    )
    sessions: Connection[DeviceSession] | None = field(
        resolvers.sessions_of_viewer,
        "The person's sessions that go on, newest first; null for an API key.",
    )
    api_keys: Connection[Annotated["ApiKey", _KEYS]] | None = watched(
        key_resolvers.page_of_viewer,
        "API keys of the workspace, newest first. Needs MANAGE_API_KEYS.",
    )


RegisterResult = Annotated[
    MailRequest | InvalidInput,
    strawberry.union("RegisterResult", description="The same for known and unknown addresses."),
]
VerifyEmailResult = Annotated[
    User | TokenInvalid,
    strawberry.union("VerifyEmailResult", description="Whose address is proven, or why not."),
]
ResendVerificationResult = Annotated[
    MailRequest | InvalidInput,
    strawberry.union(
        "ResendVerificationResult", description="The same for known and unknown addresses."
    ),
]
SignInResult = Annotated[
    Session
    | InvalidInput
    | InvalidCredentials
    | EmailNotVerified
    | SecondFactorRequired
    | WrongCode
    | TooManyAttempts,
    strawberry.union("SignInResult", description="The session, or why there is none."),
]
RefreshSessionResult = Annotated[
    Session | TokenInvalid,
    strawberry.union("RefreshSessionResult", description="The next tokens, or why there are none."),
]
SignOutResult = Annotated[
    SignedOut | SessionNotFound,
    strawberry.union("SignOutResult", description="What ended, or that nothing did."),
]
EndSessionResult = Annotated[
    DeviceSession | SessionNotFound,
    strawberry.union("EndSessionResult", description="The session that ended, or why none did."),
]
ChangePasswordResult = Annotated[
    Account | InvalidInput | WrongPassword | TooManyAttempts,
    strawberry.union(
        "ChangePasswordResult", description="The account, or why its password is the old one."
    ),
]
RequestPasswordResetResult = Annotated[
    MailRequest | InvalidInput,
    strawberry.union(
        "RequestPasswordResetResult", description="The same for known and unknown addresses."
    ),
]
ResetPasswordResult = Annotated[
    User | InvalidInput | TokenInvalid,
    strawberry.union(
        "ResetPasswordResult", description="Whose password is new, or why it is the old one."
    ),
]
UpdateAccountResult = Annotated[
    Account | InvalidInput | NoFieldsToUpdate,
    strawberry.union(
        "UpdateAccountResult", description="The changed account, or why it was not changed."
    ),
]
ChangeEmailResult = Annotated[
    MailRequest | InvalidInput | WrongPassword | SecondFactorRequired | WrongCode | TooManyAttempts,
    strawberry.union(
        "ChangeEmailResult", description="The same for addresses that have an account and others."
    ),
]
ConfirmEmailChangeResult = Annotated[
    Account | TokenInvalid,
    strawberry.union(
        "ConfirmEmailChangeResult",
        description="The account with its new address, or why it has the old one.",
    ),
]
DeactivateAccountResult = Annotated[
    Account
    | InvalidInput
    | WrongPassword
    | SecondFactorRequired
    | WrongCode
    | TooManyAttempts
    | SoleOwner,
    strawberry.union(
        "DeactivateAccountResult", description="The closed account, or why it is open."
    ),
]
EnrolTotpResult = Annotated[
    TotpEnrolment | InvalidInput | WrongPassword | TooManyAttempts | SecondFactorOn,
    strawberry.union("EnrolTotpResult", description="The secret, or why there is none."),
]
ConfirmTotpResult = Annotated[
    RecoveryCodes | WrongCode | SecondFactorOn | SecondFactorOff,
    strawberry.union(
        "ConfirmTotpResult", description="The recovery codes, or why the second factor is off."
    ),
]
DisableTotpResult = Annotated[
    Account | InvalidInput | WrongPassword | WrongCode | TooManyAttempts | SecondFactorOff,
    strawberry.union(
        "DisableTotpResult", description="The account, or why its second factor is as it was."
    ),
]
RenewRecoveryCodesResult = Annotated[
    RecoveryCodes | InvalidInput | WrongPassword | WrongCode | TooManyAttempts | SecondFactorOff,
    strawberry.union(
        "RenewRecoveryCodesResult", description="The new codes, or why the old ones hold."
    ),
]


@strawberry.type
class AccountQuery:
    viewer: Viewer = field(resolvers.viewer, "Who asks.")


@strawberry.type
class AccountMutation:
    register: RegisterResult = mutation(
        resolvers.register,
        "Ask for an account. The address is mailed what comes next; the answer never says whether it was known.",
    )
    verify_email: VerifyEmailResult = mutation(
        resolvers.verify_email, "Prove an e-mail address with the mailed token."
    )
    resend_verification: ResendVerificationResult = mutation(
        resolvers.resend_verification, "Mail another token to an address that waits for its proof."
    )
    sign_in: SignInResult = mutation(
        resolvers.sign_in,
        "Begin a session. After 5 failures the next attempt waits: 1 second, 2, 4, up to 15 minutes.",
    )
    refresh_session: RefreshSessionResult = mutation(
        resolvers.refresh_session,
        "Continue a session with its refresh token, which is good once; a second use ends the session.",
    )
    sign_out: SignOutResult = mutation(
        resolvers.sign_out, "End the session that asks, or all sessions of the account."
    )
    end_session: EndSessionResult = mutation(
        resolvers.end_session, "End one of the account's sessions."
    )
    change_password: ChangePasswordResult = mutation(
        resolvers.change_password, "Change the password; the account's other sessions end."
    )
    request_password_reset: RequestPasswordResetResult = mutation(
        resolvers.request_password_reset,
        "Have a token for a new password mailed; the answer never says whether the address was known.",
    )
    reset_password: ResetPasswordResult = mutation(
        resolvers.reset_password, "Set a new password with the mailed token; all sessions end."
    )
    update_account: UpdateAccountResult = mutation(
        resolvers.update_account, "Change one's name or time zone."
    )
    change_email: ChangeEmailResult = mutation(
        resolvers.change_email,
        "Have a token mailed to another address, and a notice to the present one, which holds until"
        " `confirmEmailChange`. The answer never says whether the address has an account.",
    )
    confirm_email_change: ConfirmEmailChangeResult = mutation(
        resolvers.confirm_email_change,
        "Change the e-mail address with the mailed token. Sessions go on; other mailed tokens are worthless.",
    )
    deactivate_account: DeactivateAccountResult = mutation(
        resolvers.deactivate_account,
        "Close the account: its sessions and API keys end, and only an operator can open it again.",
    )
    enrol_totp: EnrolTotpResult = mutation(
        resolvers.enrol_totp, "Begin a second factor; it takes effect with `confirmTotp`."
    )
    confirm_totp: ConfirmTotpResult = mutation(
        resolvers.confirm_totp,
        "Turn the second factor on with the app's first code; the account's other sessions end.",
    )
    disable_totp: DisableTotpResult = mutation(
        resolvers.disable_totp, "Turn the second factor off, with password and code."
    )
    renew_recovery_codes: RenewRecoveryCodesResult = mutation(
        resolvers.renew_recovery_codes, "Replace all recovery codes, with password and code."
    )
