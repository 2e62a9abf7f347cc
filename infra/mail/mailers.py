"""Which way mails leave this installation."""

from pathlib import Path

from domain.ports import Clock
from infra.mail.outbox import FOLDER, FileOutbox
from infra.mail.smtp import SmtpMailer
from infra.settings import Settings


def outbox_of(settings: Settings) -> Path:
    """Where mails are written when no mail server is set."""
    return settings.data_dir.expanduser().absolute() / FOLDER


def mailer_of(settings: Settings, clock: Clock) -> SmtpMailer | FileOutbox:
    """By SMTP when PENSTOCK_SMTP_URL is set, else into files; implements `domain.identity.Mailer`."""
    if settings.smtp_url is not None:
        return SmtpMailer(settings.smtp_url.get_secret_value(), settings.mail_from, clock)
    return FileOutbox(outbox_of(settings), settings.mail_from, clock)
