"""The second factor: turned on and off, asked for at sign-in, each code good once."""

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
from sqlmodel import col, select

from domain.identity import RecoveryCode, Viewer, Workspace
from tests.resolvers.people import EMAIL, PASSWORD, People


def code(people: People, secret: str, steps: int = 0) -> str:
    """What the app shows, some steps of 30 seconds from now."""
    moment = people.clock.now().timestamp() + 30 * steps
    return pyotp.TOTP(secret).at(datetime.fromtimestamp(moment, UTC))


async def enrolled(people: People) -> tuple[Viewer, str, list[str]]:
    """A person with a second factor, its secret and recovery codes."""
    viewer = await people.join()
    enrolment = await people.do("enrolTotp", viewer, password=PASSWORD)
    confirmed = await people.do("confirmTotp", viewer, totp=code(people, enrolment["secret"]))
    people.clock.advance(seconds=30)
    return viewer, enrolment["secret"], confirmed["codes"]


async def sign_in(people: People, totp: str | None = None) -> dict[str, Any]:
    return await people.do("signIn", email=EMAIL, password=PASSWORD, totp=totp)


async def test_an_enrolment_can_be_typed_or_scanned_and_is_stored_sealed(people: People):
    viewer = await people.join()
    refused = await people.do("enrolTotp", viewer, password="not the password")
    assert refused["code"] == "WRONG_PASSWORD"
    enrolment = await people.do("enrolTotp", viewer, password=PASSWORD)
    uri = urlsplit(enrolment["uri"])
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/Penstock:ada%40example.com")
    assert parse_qs(uri.query) == {"secret": [enrolment["secret"]], "issuer": ["Penstock"]}
    assert enrolment["picture"].startswith("data:image/svg+xml")
    assert len(base64.b32decode(enrolment["secret"])) == 20
    sealed = (await people.credential(viewer)).totp_sealed
    assert sealed is not None
    assert enrolment["secret"].encode() not in sealed


async def test_a_second_factor_takes_effect_once_its_app_is_shown_to_work(people: People):
    viewer = await people.join()
    assert (await people.do("confirmTotp", viewer, totp="123456"))["code"] == "SECOND_FACTOR_OFF"
    enrolment = await people.do("enrolTotp", viewer, password=PASSWORD)
    assert (await sign_in(people))["__typename"] == "Session"
    wrong = await people.do("confirmTotp", viewer, totp=code(people, enrolment["secret"], 40))
    assert wrong["code"] == "WRONG_CODE"
    confirmed = await people.do("confirmTotp", viewer, totp=code(people, enrolment["secret"]))
    assert len(set(confirmed["codes"])) == 10
    assert (await sign_in(people))["code"] == "SECOND_FACTOR_REQUIRED"
    assert people.mailbox.mails[-1].subject == "The second factor changed"
    told = await people.ask("{ viewer { account { secondFactor } } }", viewer)
    assert told["viewer"]["account"]["secondFactor"] is True
    again = await people.do("enrolTotp", viewer, password=PASSWORD)
    assert again["code"] == "SECOND_FACTOR_ON"


async def test_sessions_that_began_without_it_end_when_it_is_turned_on(people: People):
    viewer = await people.join()
    await people.sign_in()
    enrolment = await people.do("enrolTotp", viewer, password=PASSWORD)
    assert len(await people.going_on(viewer)) == 2
    await people.do("confirmTotp", viewer, totp=code(people, enrolment["secret"]))
    assert await people.going_on(viewer) == [viewer.session_id]


async def test_a_code_is_good_once_and_never_an_older_one_after_it(people: People):
    _, secret, _ = await enrolled(people)
    present = code(people, secret)
    assert (await sign_in(people, present))["__typename"] == "Session"
    assert (await sign_in(people, present))["code"] == "WRONG_CODE"
    assert (await sign_in(people, code(people, secret, -1)))["code"] == "WRONG_CODE"
    assert (await sign_in(people, code(people, secret, 2)))["code"] == "WRONG_CODE"
    spaced = code(people, secret, 1)
    assert (await sign_in(people, f" {spaced[:3]} {spaced[3:]}"))["__typename"] == "Session"


async def test_the_code_that_turned_it_on_does_not_sign_in(people: People):
    viewer = await people.join()
    enrolment = await people.do("enrolTotp", viewer, password=PASSWORD)
    used = code(people, enrolment["secret"])
    await people.do("confirmTotp", viewer, totp=used)
    assert (await sign_in(people, used))["code"] == "WRONG_CODE"


async def test_a_recovery_code_stands_in_once(people: People):
    viewer, _, codes = await enrolled(people)
    assert (await sign_in(people, codes[0]))["__typename"] == "Session"
    assert (await sign_in(people, codes[0]))["code"] == "WRONG_CODE"
    assert (await sign_in(people, codes[1].upper().replace("-", " ")))["__typename"] == "Session"
    async with people.database.read() as session:
        kept = (
            await session.exec(
                select(RecoveryCode).where(col(RecoveryCode.user_id) == viewer.user_id)
            )
        ).all()
    assert len(kept) == 10
    assert not any(codes[2].encode() in one.code_hash for one in kept)


async def test_new_recovery_codes_make_the_old_worthless(people: People):
    viewer, secret, codes = await enrolled(people)
    proof = {"password": PASSWORD, "totp": code(people, secret)}
    renewed = await people.do("renewRecoveryCodes", viewer, **proof)
    assert set(renewed["codes"]).isdisjoint(codes)
    assert (await sign_in(people, codes[0]))["code"] == "WRONG_CODE"
    assert (await sign_in(people, renewed["codes"][0]))["__typename"] == "Session"


async def test_guesses_at_the_code_wait_like_guesses_at_the_password(people: People):
    await enrolled(people)
    codes = []
    for number in range(6):
        codes.append((await sign_in(people, f"{number:06}"))["code"])
        without = (await sign_in(people))["code"]  # tells nothing new, and forgives nothing
        assert without in ("SECOND_FACTOR_REQUIRED", "TOO_MANY_ATTEMPTS")
    assert codes == ["WRONG_CODE"] * 5 + ["TOO_MANY_ATTEMPTS"]


async def test_turning_it_off_needs_both_factors(people: People):
    viewer, secret, _ = await enrolled(people)
    present = code(people, secret)
    wrong = await people.do("disableTotp", viewer, password="not the password", totp=present)
    assert wrong["code"] == "WRONG_PASSWORD"
    wrong = await people.do("disableTotp", viewer, password=PASSWORD, totp="000000")
    assert wrong["code"] == "WRONG_CODE"
    off = await people.do("disableTotp", viewer, password=PASSWORD, totp=present)
    assert off["secondFactor"] is False
    assert (await sign_in(people))["__typename"] == "Session"
    again = await people.do("disableTotp", viewer, password=PASSWORD, totp=present)
    assert again["code"] == "SECOND_FACTOR_OFF"
    anew = await people.do("enrolTotp", viewer, password=PASSWORD)
    confirmed = await people.do("confirmTotp", viewer, totp=code(people, anew["secret"]))
    assert confirmed["__typename"] == "RecoveryCodes"


async def test_closing_an_account_takes_the_code_too(people: People):
    viewer, secret, _ = await enrolled(people)
    without = await people.do("deactivateAccount", viewer, password=PASSWORD)
    assert without["code"] == "SECOND_FACTOR_REQUIRED"
    proof = {"password": PASSWORD, "totp": code(people, secret)}
    closed = await people.do("deactivateAccount", viewer, **proof)
    assert closed["__typename"] == "Account"


async def test_a_workspace_that_requires_a_second_factor_opens_to_who_has_one(people: People):
    viewer = await people.join()
    async with people.database.write() as session:
        workspace = await session.get_one(Workspace, viewer.workspace_id)
        workspace.second_factor_required = True
    assert (await people.sign_in()).permissions == frozenset()
    enrolment = await people.do("enrolTotp", viewer, password=PASSWORD)
    await people.do("confirmTotp", viewer, totp=code(people, enrolment["secret"]))
    people.clock.advance(seconds=30)
    again = await people.sign_in(totp=code(people, enrolment["secret"]))
    assert again.permissions


async def test_what_turns_the_second_factor_shows_in_the_audit_without_secrets(people: People):
    viewer, secret, codes = await enrolled(people)
    events = await people.events(user_id=viewer.user_id)
    assert {"enrolTotp", "confirmTotp"} <= {event.action for event in events}
    said = str([event.model_dump() for event in events])
    assert secret not in said
    assert not any(recovery in said for recovery in codes)
