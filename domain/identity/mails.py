"""What is written to people: short plain text, a link where there is an application to lead to."""

from datetime import datetime
from urllib.parse import urlencode

from domain.identity.ports import Mail

_IGNORE = "If this was not you, ignore this mail: nothing changes."


def verify_email(to: str, token: str, app_url: str | None) -> Mail:
    """Asks a new user to show that the address is theirs."""
    return Mail(
        to,
        "Confirm your e-mail address",
        _text(
            "Somebody, hopefully you, registered with this address and a password of their choice.",
            f"To confirm it within 24 hours, {instruction(app_url, 'verify-email', token)}",
            _IGNORE,
        ),
    )


def already_registered(to: str, token: str, app_url: str | None) -> Mail:
    """Tells the owner of a known address that somebody registered with it."""
    return Mail(
        to,
        "You already have an account",
        _text(
            "Somebody, hopefully you, registered with this address, which has an account already.",
            "Sign in with your password. If you forgot it: to choose a new one within 1 hour, "
            + instruction(app_url, "reset-password", token),
            _IGNORE,
        ),
    )


def reset_password(to: str, token: str, app_url: str | None) -> Mail:
    """Lets the owner of an address choose a new password."""
    return Mail(
        to,
        "Reset your password",
        _text(
            "Somebody, hopefully you, asked to reset the password of your account.",
            f"To choose a new one within 1 hour, {instruction(app_url, 'reset-password', token)}",
            _IGNORE,
        ),
    )


def notice(to: str, what: str) -> Mail:
    """Tells the owner of an account that its protection changed; `what` is a sentence's beginning."""
    return Mail(
        to,
        f"{what} changed",
        _text(
            f"{what} of your account was changed just now.",
            "If this was not you, reset your password at once and end your sessions.",
        ),
    )


def change_email(to: str, token: str, app_url: str | None) -> Mail:
    """Asks for the proof that an account's new address is its owner's."""
    return Mail(
        to,
        "Confirm your new e-mail address",
        _text(
            "Somebody, hopefully you, wants to use this address for their account.",
            f"To confirm it within 1 hour, while signed in, {instruction(app_url, 'change-email', token)}",
            _IGNORE,
        ),
    )


def address_wanted(to: str) -> Mail:
    """Tells the owner of an account that somebody wants their address for another one."""
    return Mail(
        to,
        "Your address belongs to an account already",
        _text(
            "Somebody, hopefully you, wants to use this address for another account. It belongs to yours already.",
            "To use it there, first give this account another address or delete it.",
            _IGNORE,
        ),
    )


def address_leaving(to: str) -> Mail:
    """Tells an account's present address that another one was asked for."""
    return Mail(
        to,
        "Your e-mail address is about to change",
        _text(
            "Somebody, hopefully you, gave your password and asked for another e-mail address for your account.",
            "If this was not you, change your password at once: this address holds until the new one is confirmed.",
        ),
    )


def address_left(to: str) -> Mail:
    """Tells an account's former address that it is one no longer."""
    return Mail(
        to,
        "Your e-mail address changed",
        _text(
            "The e-mail address of your account was changed just now; this one no longer signs you in.",
            "If this was not you, sign in with the new address if you know it and change your password, or ask the "
            "operator of this service.",
        ),
    )


def confirm_deletion(to: str, token: str, app_url: str | None) -> Mail:
    """Asks whether an account shall really be deleted."""
    return Mail(
        to,
        "Confirm that your account shall be deleted",
        _text(
            "Somebody, hopefully you, asked to delete your account with all its data.",
            f"To confirm it within 1 hour, {instruction(app_url, 'delete-account', token)}",
            "If this was not you, change your password: whoever asked was signed in as you.",
        ),
    )


def deletion_due(to: str, due_at: datetime) -> Mail:
    """Tells until when a deleted account can be kept."""
    return Mail(
        to,
        "Your account will be deleted",
        _text(
            f"Your account and all its data will be deleted after {due_at:%Y-%m-%d %H:%M} UTC.",
            "To keep it, sign in before then.",
        ),
    )


def instruction(app_url: str | None, path: str, token: str) -> str:
    """How to use a token: a link into the application, or the token itself."""
    if app_url is None:
        return f"use this token:\n\n    {token}"
    return f"open this link:\n\n    {link(app_url, path, token)}"


def link(app_url: str, path: str, token: str) -> str:
    """A link into the application."""
    return f"{app_url}/{path}?{urlencode({'token': token})}"


def _text(*paragraphs: str) -> str:
    return "\n\n".join(paragraphs) + "\n"
