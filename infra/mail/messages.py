"""A mail as it is sent (RFC 5322)."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Final

from domain.identity import Mail

LOCAL: Final = "localhost"


def compose(mail: Mail, sender: str, now: datetime) -> EmailMessage:
    """The message with all its headers; raises ValueError when an address or the subject holds a line break."""
    message = EmailMessage(SMTP)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=parseaddr(sender)[1].rpartition("@")[2] or LOCAL)
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office answers (RFC 3834)
    message.set_content(mail.text)
    return message
