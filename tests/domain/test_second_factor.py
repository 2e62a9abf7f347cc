"""Codes of an authenticator app: each good once, in its time."""

from datetime import UTC, datetime, timedelta

import pyotp
from hypothesis import given
from hypothesis import strategies as st

from domain.identity import Credential
from domain.identity.second_factor import _code, _code_hash, _take_step
from infra.security.authenticators import TotpAuthenticators
from infra.security.vault import KeyVault
from infra.system import RandomIds
from tests.doors import door
from tests.factories import FixedClock, new_id

VAULT = KeyVault([bytes(32)])
SECRET = pyotp.random_base32()
# The test vectors of RFC 6238, appendix B, for SHA-1, cut to six digits.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = {59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"}


def test_codes_are_those_of_the_standard():
    apps = TotpAuthenticators()
    for seconds, code in RFC_CODES.items():
        moment = datetime.fromtimestamp(seconds, UTC)
        assert apps.step(RFC_SECRET, code, moment) == seconds // 30
        assert apps.step(RFC_SECRET, code, moment + timedelta(seconds=90)) is None
        for other in (code[:5], code + "0", "", "abcdef", "١٢٣٤٥٦", " " + code[1:]):
            assert apps.step(RFC_SECRET, other, moment) is None


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(-3, 3)), max_size=30))
def test_no_code_is_taken_twice_nor_one_older_than_the_last(tries: list[tuple[int, int]]):
    clock, user_id = FixedClock(), new_id()
    house = door(VAULT, clock, RandomIds())
    credential = Credential(
        user_id=user_id, totp_sealed=VAULT.seal(SECRET.encode(), user_id.bytes), totp_last_step=0
    )
    taken: list[int] = []
    for seconds, offset in tries:
        clock.advance(seconds=seconds)
        present = int(clock.now().timestamp()) // 30
        code = pyotp.TOTP(SECRET).generate_otp(present + offset)
        if _take_step(house, credential, code):
            assert abs(offset) <= 1
            taken.append(present + offset)
    assert taken == sorted(set(taken))


def test_a_recovery_code_has_80_bits_in_letters_that_are_easily_typed():
    code = _code("token")
    assert len(code) == 19
    assert set(code) <= set("abcdefghijklmnopqrstuvwxyz234567-")
    assert _code_hash(code.upper().replace("-", " ")) == _code_hash(code)
    assert _code("another") != code
