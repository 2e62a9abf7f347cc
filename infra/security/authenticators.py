"""Codes of authenticator apps: TOTP by pyotp, shown as a QR code by segno."""

import hmac
from datetime import datetime
from typing import Final

import pyotp
import segno

ISSUER: Final = "Penstock"
STEP_SECONDS: Final = 30
DIGITS: Final = 6


class TotpAuthenticators:
    """Implements `domain.identity.Authenticators`."""

    def new_secret(self) -> str:
        """160 bits, base32."""
        return pyotp.random_base32()

    def uri(self, secret: str, email: str) -> str:
        """`otpauth://totp/Penstock:email?secret=...&issuer=Penstock`."""
        return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)

    def picture(self, uri: str) -> str:
        """An SVG in a data URI."""
        code = segno.make(uri, error="m", micro=False)
        return code.svg_data_uri(scale=4, dark="#000", light="#fff")

    def step(self, secret: str, code: str, now: datetime) -> int | None:
        """Which step the code is of, one step early or late at most."""
        if len(code) != DIGITS or not code.isascii() or not code.isdigit():
            return None
        totp, present = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS
        for step in (present, present - 1, present + 1):
            if hmac.compare_digest(totp.generate_otp(step), code):
                return step
        return None
