"""Why somebody was not let in, or may not change how they get in."""

import strawberry

from domain.identity import denials
from schema.errors.base import Error
from schema.errors.codes import ErrorCode
from schema.views import plain


@strawberry.type(description="No active account has this e-mail address and password.")
class InvalidCredentials(Error):
    """A failed sign-in."""

    __source__ = denials.InvalidCredentials
    __code__ = ErrorCode.INVALID_CREDENTIALS
    __says__ = "No account has this e-mail address and password."


@strawberry.type(description="The password is right, but the e-mail address was never verified.")
class EmailNotVerified(Error):
    """A sign-in before its time."""

    __source__ = denials.EmailNotVerified
    __code__ = ErrorCode.EMAIL_NOT_VERIFIED
    __says__ = "Confirm your e-mail address first; resendVerification sends another mail."


@strawberry.type(
    description="The password is right; a code of the second factor is needed as well."
)
class SecondFactorRequired(Error):
    """Half a sign-in."""

    __source__ = denials.SecondFactorRequired
    __code__ = ErrorCode.SECOND_FACTOR_REQUIRED
    __says__ = "Give the code of your authenticator app, or a recovery code."


@strawberry.type(description="The code is not the present one, or was used already.")
class WrongCode(Error):
    """A refused code."""

    __source__ = denials.WrongCode
    __code__ = ErrorCode.WRONG_CODE
    __says__ = "The code is wrong or was used already."


@strawberry.type(description="It is not the account's password.")
class WrongPassword(Error):
    """A refused password."""

    __source__ = denials.WrongPassword
    __code__ = ErrorCode.WRONG_PASSWORD
    __says__ = "This is not your password."


@strawberry.type(description="Too many attempts failed: nothing is looked at for a while.")
class TooManyAttempts(Error):
    """A locked door."""

    __source__ = denials.TooManyAttempts
    __code__ = ErrorCode.TOO_MANY_ATTEMPTS
    __says__ = "Too many attempts failed; try again in {retry_after_seconds} seconds."
    retry_after_seconds: int = plain("How long to wait, in seconds.")


@strawberry.type(description="The token was never given out, was used already, or has ended.")
class TokenInvalid(Error):
    """A worthless token."""

    __source__ = denials.TokenInvalid
    __code__ = ErrorCode.TOKEN_INVALID
    __says__ = "The token is not valid, or no longer."


@strawberry.type(description="There is no such session that goes on.")
class SessionNotFound(Error):
    """A session that is none, or ended."""

    __source__ = denials.SessionNotFound
    __code__ = ErrorCode.SESSION_NOT_FOUND
    __says__ = "There is no session with this id that goes on."
    id: strawberry.ID = plain("The id that was given.")


@strawberry.type(description="The account has a second factor already.")
class SecondFactorOn(Error):
    """A second factor too many."""

    __source__ = denials.SecondFactorOn
    __code__ = ErrorCode.SECOND_FACTOR_ON
    __says__ = "The second factor is on already."


@strawberry.type(
    description="The account has no second factor, or none that waits to be confirmed."
)
class SecondFactorOff(Error):
    """A missing second factor."""

    __source__ = denials.SecondFactorOff
    __code__ = ErrorCode.SECOND_FACTOR_OFF
    __says__ = "There is no second factor."


@strawberry.type(description="Whom the provider named is linked with another account.")
class IdentityTaken(Error):
    """An identity of somebody else here."""

    __source__ = denials.IdentityTaken
    __code__ = ErrorCode.IDENTITY_TAKEN
    __says__ = "Another account is linked with this identity."


@strawberry.type(description="Nothing else would let the account's owner in.")
class OnlyWayIn(Error):
    """The last door."""

    __source__ = denials.OnlyWayIn
    __code__ = ErrorCode.ONLY_WAY_IN
    __says__ = "This is the only way in; requestPasswordReset gives the account a password."
