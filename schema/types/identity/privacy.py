"""A person's own data as they see it."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from domain.identity import deletion, privacy
from resolvers.identity import privacy as resolvers
from schema.errors import (
    InvalidInput,
    SecondFactorRequired,
    SoleOwner,
    TokenInvalid,
    TooManyAttempts,
    WrongCode,
    WrongPassword,
    mutation,
)
from schema.views import plain, view


@view(privacy.PersonalData, "All that is kept about you.")
class PersonalData:
    generated_at: datetime = plain("When it was gathered.")
    data: JSON = plain(
        "The data by part, such as `account`, `sessions` or `events` (the newest 10,000; `accountEvents` pages through all): "
        "no password, hash, token or secret."
    )


@view(deletion.AccountDeletion, "How far your account's end is; all null when it is to stay.")
class AccountDeletion:
    confirm_until: datetime | None = plain(
        "Until when the token that was mailed to you can be given to `confirmAccountDeletion`."
    )
    due_at: datetime | None = plain(
        "When the account and its data will be deleted. Signing in anew before that keeps them."
    )


ExportMyDataResult = Annotated[
    PersonalData | InvalidInput,
    strawberry.union("ExportMyDataResult", description="Your data, or why there is none."),
]
DeleteMyAccountResult = Annotated[
    AccountDeletion
    | InvalidInput
    | WrongPassword
    | WrongCode
    | SecondFactorRequired
    | TooManyAttempts
    | SoleOwner,
    strawberry.union(
        "DeleteMyAccountResult", description="Until when to confirm, or why nothing was begun."
    ),
]
ConfirmAccountDeletionResult = Annotated[
    AccountDeletion | TokenInvalid | SoleOwner,
    strawberry.union(
        "ConfirmAccountDeletionResult",
        description="When the account ends, or why it does not.",
    ),
]
CancelAccountDeletionResult = Annotated[
    AccountDeletion | InvalidInput,
    strawberry.union(
        "CancelAccountDeletionResult", description="The account stays, or why it does not."
    ),
]


@strawberry.type
class PrivacyMutation:
    export_my_data: ExportMyDataResult = mutation(
        resolvers.export, "Gather all that is kept about you, in every workspace."
    )
    delete_my_account: DeleteMyAccountResult = mutation(
        resolvers.request_deletion,
        "Ask for your account's end: a token that confirms it is mailed to you. Nothing is deleted yet.",
    )
    confirm_account_deletion: ConfirmAccountDeletionResult = mutation(
        resolvers.confirm_deletion,
        "Confirm your account's end. Your other sessions end now; the account and all its data are deleted after "
        "some days of grace. Workspaces you alone are in are deleted with all that is in them.",
    )
    cancel_account_deletion: CancelAccountDeletionResult = mutation(
        resolvers.cancel_deletion, "Keep your account, during its days of grace."
    )
