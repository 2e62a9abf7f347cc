"""Mail as files."""

import asyncio
import stat
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from domain.identity import Mail
from infra.mail.mailers import mailer_of, outbox_of
from infra.mail.outbox import FileOutbox
from infra.mail.smtp import SmtpMailer
from infra.settings import load_settings
from tests.factories import FixedClock

SENDER = "Penstock <penstock@localhost>"
MAIL = Mail("jo@example.com", "Welcome", "Hello Jo\n")


def files(directory: Path, pattern: str = "*.eml") -> list[Path]:
    return sorted(directory.glob(pattern))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_mail_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "outbox"
    await FileOutbox(directory, SENDER, FixedClock()).send(MAIL)
    [path] = files(directory)
    assert path.name.startswith("20261121T120000000000Z-")
    assert path.suffix == ".eml"
    assert (mode(directory), mode(path)) == (0o700, 0o600)
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert (message["To"], message["Subject"]) == (MAIL.to, MAIL.subject)
    assert message.get_content().strip() == "Hello Jo"


async def test_the_outbox_keeps_the_newest_and_none_too_old(tmp_path: Path) -> None:
    clock = FixedClock()
    outbox = FileOutbox(tmp_path, SENDER, clock, kept=3, kept_days=2)
    for number in range(5):
        clock.advance(hours=1)
        await outbox.send(Mail("jo@example.com", f"number {number}", ""))
    kept = [message_from_bytes(path.read_bytes()) for path in files(tmp_path)]
    assert [message["Subject"] for message in kept] == ["number 2", "number 3", "number 4"]
    clock.advance(days=3)
    await outbox.send(MAIL)
    assert len(files(tmp_path)) == 1


async def test_mails_at_the_same_moment_do_not_collide(tmp_path: Path) -> None:
    outbox = FileOutbox(tmp_path, SENDER, FixedClock())
    await asyncio.gather(*(outbox.send(MAIL) for _ in range(20)))
    assert len(files(tmp_path)) == 20
    assert files(tmp_path, "*.new") == []


async def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file")
    with pytest.raises(ConnectionError, match="cannot be written"):
        await FileOutbox(tmp_path / "outbox", SENDER, FixedClock()).send(MAIL)


def test_the_settings_choose(tmp_path: Path) -> None:
    files = mailer_of(load_settings(data_dir=tmp_path), FixedClock())
    assert isinstance(files, FileOutbox)
    assert files.directory == tmp_path / "outbox" == outbox_of(load_settings(data_dir=tmp_path))
    smtp = mailer_of(load_settings(smtp_url="smtp://mail.example.com"), FixedClock())
    assert isinstance(smtp, SmtpMailer)
