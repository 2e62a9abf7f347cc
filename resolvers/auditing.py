"""What the audit hears of a mutation beside what its transactions told, and of looking at others' data."""

from dataclasses import replace
from typing import Any, Final

from domain.audit import AuditOutcome, Deed
from resolvers import ids
from resolvers.context import Context

QUIET_CODES: Final = frozenset(
    {
        "UNAUTHENTICATED",
        "BAD_USER_INPUT",
        "INVALID_INPUT",
        "NO_FIELDS_TO_UPDATE",
        "TOO_MANY_ATTEMPTS",
        "RATE_LIMITED",
    }
)
"""Refusals that say nothing of a caller who is nobody: a flood of them is no event each."""

OF_ACCOUNTS: Final = frozenset(
    {
        "register",
        "verifyEmail",
        "resendVerification",
        "signIn",
        "exchangeSignInCode",
        "refreshSession",
        "signOut",
        "endSession",
        "updateAccount",
        "renewRecoveryCodes",
        "changePassword",
        "changeEmail",
        "confirmEmailChange",
        "linkProvider",
        "confirmProviderLink",
        "unlinkProvider",
        "requestPasswordReset",
        "resetPassword",
        "enrolTotp",
        "confirmTotp",
        "disableTotp",
        "deactivateAccount",
        "exportMyData",
        "deleteMyAccount",
        "confirmAccountDeletion",
        "cancelAccountDeletion",
    }
)
"""Mutations about the caller's own account, which are no business of the workspace they happen to act in."""


async def conclude(
    context: Context,
    outcome: AuditOutcome,
    *,
    code: str | None = None,
    input: object = None,
    result: object = None,
) -> None:
    """Write down how the mutation ended, unless its transactions have said so already.

    What was noted in a transaction that was rolled back is written with the outcome it came to.
    """
    trail, action = context.trail, context.action or ""
    done = outcome is AuditOutcome.DONE
    if done and trail.written:
        return
    if any(written is not AuditOutcome.DONE for written in trail.written):
        return
    viewer = context.caller.viewer
    if viewer is None and not done and code in QUIET_CODES:
        return
    workspace_id = None if viewer is None or action in OF_ACCOUNTS else viewer.workspace_id
    type, key = _subject(input, result)
    deeds = trail.undone or [Deed(action, workspace_id, subject_type=type, subject_id=key)]
    for deed in deeds:
        await context.services.audit.write(context.act, replace(deed, outcome=outcome, code=code))


async def viewed(context: Context, field: str, source: object) -> None:
    """Write down, coarsely, that the caller looked at others' data: `source` is what the field is of."""
    viewer = context.viewer
    workspace_id = getattr(source, "workspace_id", viewer.workspace_id)
    if type(source).__name__ == "Workspace":
        workspace_id = getattr(source, "id", workspace_id)
    await context.services.audit.viewed(context.act, Deed(f"view:{field}", workspace_id))


def _subject(input: object, result: Any) -> tuple[str | None, str | None]:
    """What a mutation was about: what it returned, or what its input names."""
    if getattr(result, "id", None) is not None:
        return type(result).__name__, str(result.id)
    given = getattr(input, "id", None)
    if isinstance(given, str):
        try:
            named, key = ids.parts(given)
        except ValueError:
            return None, None
        return named[:100], key[:200]
    return None, None
