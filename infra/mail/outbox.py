"""Mails as files, for an installation without a mail server: a person, or a program, reads them there."""

import asyncio
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from domain.identity import Mail
from domain.ports import Clock
from infra.mail.messages import compose

FOLDER: Final = "outbox"
KEPT: Final = 1_000
KEPT_DAYS: Final = 30
STAMP: Final = "%Y%m%dT%H%M%S%fZ"


class FileOutbox:
    """Writes `<time>-<id>.eml`, readable by this user alone; keeps the newest 1,000 of the last 30 days."""

    def __init__(
        self,
        directory: Path,
        sender: str,
        clock: Clock,
        *,
        kept: int = KEPT,
        kept_days: int = KEPT_DAYS,
    ) -> None:
        self.directory = directory
        self._sender = sender
        self._clock = clock
        self._kept = kept
        self._kept_for = timedelta(days=kept_days)

    async def send(self, mail: Mail) -> None:
        """Write the mail; raises ConnectionError when the directory cannot be written."""
        now = self._clock.now()
        text = compose(mail, self._sender, now).as_bytes()
        try:
            await asyncio.to_thread(self._keep, now, text)
        except OSError as error:
            raise ConnectionError(f"{self.directory} cannot be written: {error.strerror}") from None

    def _keep(self, now: datetime, text: bytes) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f"{now:{STAMP}}-{secrets.token_hex(4)}.eml"
        draft = path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
            file.write(text)
        draft.replace(path)
        self._forget(now)

    def _forget(self, now: datetime) -> None:
        mails = sorted(self.directory.glob("*.eml"))  # their names begin with their time
        oldest = f"{now - self._kept_for:{STAMP}}"
        for number, path in enumerate(mails, start=1):
            if path.name >= oldest and number > len(mails) - self._kept:
                return
            path.unlink(missing_ok=True)
