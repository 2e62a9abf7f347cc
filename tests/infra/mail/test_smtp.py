"""Mail to a real SMTP server."""

import socket
import ssl
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from domain.identity import Mail
from infra.mail.smtp import MailServer, SmtpMailer
from tests.factories import FixedClock
from tests.infra.mail.postbox import PASSWORD, USER, authenticate, certificate, receiving

MAIL = Mail("jo@example.com", "Grüße", "Your code: 1234\nÄrger? Antworten Sie.\n")
SENDER = "Penstock <penstock@example.org>"
ACCOUNT = f"{USER}:{quote(PASSWORD, safe='')}@"


def mailer(url: str, tls: ssl.SSLContext | None = None) -> SmtpMailer:
    return SmtpMailer(url, SENDER, FixedClock(), tls=tls, wait_seconds=0.001)


def required(tls: ssl.SSLContext) -> dict[str, Any]:
    return {"tls": tls, "authenticator": authenticate, "auth_required": True}


async def test_a_mail_arrives_as_text_with_the_headers_it_needs() -> None:
    async with receiving() as box:
        await mailer(f"smtp://127.0.0.1:{box.port}").send(MAIL)
    [envelope] = box.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("penstock@example.org", [MAIL.to])
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=default)
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, MAIL.to, MAIL.subject)
    assert message["Date"] == "Sat, 21 Nov 2026 12:00:00 +0000"
    assert message["Message-ID"].endswith("@example.org>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().replace("\r\n", "\n") == MAIL.text


async def test_starttls_is_used_when_offered_and_the_password_goes_under_it(tmp_path: Path) -> None:
    server, client = certificate(tmp_path)
    async with receiving(**required(server)) as box:
        await mailer(f"smtp://{ACCOUNT}127.0.0.1:{box.port}", client).send(MAIL)
    assert (box.encrypted, box.users) == ([True], [USER])


async def test_smtps_is_encrypted_from_the_first_byte(tmp_path: Path) -> None:
    server, client = certificate(tmp_path)
    async with receiving(tls=server, implicit=True) as box:
        mails = mailer(f"smtps://localhost:{box.port}", client)
        await mails.send(MAIL)
        assert await mails.check() == "encrypted"
    assert len(box.mails) == 1


async def test_a_certificate_that_cannot_be_trusted_is_refused(tmp_path: Path) -> None:
    server, _ = certificate(tmp_path)
    async with receiving(tls=server) as box:
        with pytest.raises(ConnectionError, match="certificate cannot be trusted"):
            await mailer(f"smtp://127.0.0.1:{box.port}").send(MAIL)
    assert box.mails == []


async def test_a_wrong_password_is_refused_at_once_and_never_told(tmp_path: Path) -> None:
    server, client = certificate(tmp_path)
    async with receiving(**required(server)) as box:
        mails = mailer(f"smtp://{USER}:hunter2-hunter2@127.0.0.1:{box.port}", client)
        with pytest.raises(ConnectionError, match="535") as failure:
            await mails.send(MAIL)
        with pytest.raises(ConnectionError, match="535"):
            await mails.check()
    assert "hunter2" not in f"{failure.value}{mails.server}"


async def test_a_password_is_not_sent_in_the_clear_to_another_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infra.mail.smtp.LOOPBACK", frozenset())
    async with receiving(authenticator=authenticate, auth_require_tls=False) as box:
        with pytest.raises(ConnectionError, match="the password is not sent"):
            await mailer(f"smtp://{ACCOUNT}127.0.0.1:{box.port}").send(MAIL)
    assert box.users == []


async def test_a_recipient_refused_for_good_is_asked_for_once() -> None:
    async with receiving() as box:
        box.answers = ["550 5.1.1 no such user"]
        with pytest.raises(ConnectionError, match="refused the recipient: 550"):
            await mailer(f"smtp://127.0.0.1:{box.port}").send(MAIL)
    assert (box.asked, box.mails) == (1, [])


async def test_a_refusal_for_now_is_tried_again() -> None:
    async with receiving() as box:
        box.answers = ["451 4.7.1 greylisted", "451 4.7.1 greylisted"]
        await mailer(f"smtp://127.0.0.1:{box.port}").send(MAIL)
    assert (box.asked, len(box.mails)) == (3, 1)


async def test_a_server_that_is_away_is_told_after_three_tries() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectionError, match=f"127.0.0.1:{port}: "):
            await mailer(f"smtp://127.0.0.1:{port}").send(MAIL)
        with pytest.raises(ConnectionError):
            await mailer(f"smtp://127.0.0.1:{port}").check()


@pytest.mark.parametrize("to", ["a@example.com\nBcc: b@example.com", "a@example.com\r\n\r\nhello"])
async def test_no_header_can_be_smuggled_in(to: str) -> None:
    async with receiving() as box:
        with pytest.raises(ValueError, match=r"linefeed|carriage"):
            await mailer(f"smtp://127.0.0.1:{box.port}").send(Mail(to, "x", "y"))
    assert box.mails == []


async def test_a_check_sends_no_mail() -> None:
    async with receiving() as box:
        assert await mailer(f"smtp://127.0.0.1:{box.port}").check() == "not encrypted"
    assert box.mails == []


def test_urls_are_read_with_the_ports_of_mail() -> None:
    assert MailServer.of("smtp://mail.example.com").place == "mail.example.com:587"
    assert MailServer.of("smtps://mail.example.com").place == "mail.example.com:465"
    assert MailServer.of("smtp://[::1]:25").place == "[::1]:25"
    account = MailServer.of(f"smtp://{ACCOUNT}h")
    assert (account.user, account.password) == (USER, PASSWORD)
