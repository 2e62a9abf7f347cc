"""Passwords: refused, changed, reset, upgraded."""

import asyncio

import pytest
from sqlmodel import select

from domain.identity import (
    Credential,
    OneTimeToken,
    RefreshToken,
    token_hash,
)
from tests.resolvers.people import (
    EMAIL,
    PASSWORD,
    People,
)

NEXT = "a new and long passphrase"


async def test_only_hashes_of_tokens_are_stored(people: People):
    await people.do("register", email=EMAIL, password=PASSWORD)
    mailed = people.mailbox.token()
    await people.do("verifyEmail", token=mailed)
    session = await people.do("signIn", email=EMAIL, password=PASSWORD)
    async with people.database.read() as reading:
        one_time = (await reading.exec(select(OneTimeToken))).one()
        refresh = (await reading.exec(select(RefreshToken))).one()
    assert one_time.token_hash == token_hash(mailed)
    assert refresh.token_hash == token_hash(session["refreshToken"])


async def test_a_weak_password_is_refused(people: People):
    answer = await people.do("register", email=EMAIL, password="password123")
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "password")
    assert people.mailbox.mails == []


async def test_many_guesses_at_once_are_no_way_around_the_wait(people: People):
    await people.join()
    answers = await asyncio.gather(
        *(people.do("signIn", email=EMAIL, password=f"a guess no. {n}") for n in range(12))
    )
    codes = [answer["code"] for answer in answers]
    assert (codes.count("INVALID_CREDENTIALS"), codes.count("TOO_MANY_ATTEMPTS")) == (5, 7)


async def test_a_changed_password_needs_the_old_one_and_ends_the_other_sessions(people: People):
    viewer = await people.join()
    await people.sign_in()
    change = {"newPassword": NEXT}
    wrong = await people.do("changePassword", viewer, oldPassword="not the password", **change)
    missing = await people.do("changePassword", viewer, **change)
    assert (wrong["code"], missing["code"]) == ("WRONG_PASSWORD", "WRONG_PASSWORD")
    weak = await people.do(
        "changePassword", viewer, oldPassword=PASSWORD, newPassword="password123"
    )
    assert weak["field"] == "newPassword"
    changed = await people.do("changePassword", viewer, oldPassword=PASSWORD, **change)
    assert changed["__typename"] == "Account"
    assert await people.going_on(viewer) == [viewer.session_id]
    assert people.mailbox.mails[-1].subject == "The password changed"
    assert (await people.do("signIn", email=EMAIL, password=PASSWORD))["__typename"] != "Session"
    assert (await people.do("signIn", email=EMAIL, password=NEXT))["__typename"] == "Session"


async def test_a_password_that_changes_while_it_is_looked_at_lets_nobody_in(
    people: People, monkeypatch: pytest.MonkeyPatch
):
    viewer = await people.join()
    verify = people.hasher.verify

    async def slowly(password: str, hash: str | None) -> tuple[bool, str | None]:
        answer = await verify(password, hash)
        monkeypatch.undo()
        await people.do("changePassword", viewer, oldPassword=PASSWORD, newPassword=NEXT)
        return answer

    monkeypatch.setattr(people.hasher, "verify", slowly)
    refused = await people.do("signIn", email=EMAIL, password=PASSWORD)
    assert refused["code"] == "INVALID_CREDENTIALS"
    assert await people.going_on(viewer) == [viewer.session_id]


async def test_a_first_password_takes_the_mailbox_and_not_only_a_session(people: People):
    viewer = await people.join()
    async with people.database.write() as session:
        (await session.exec(select(Credential))).one().password_hash = None
    refused = await people.do("changePassword", viewer, newPassword=NEXT)
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "oldPassword")
    assert (await people.do("signIn", email=EMAIL, password=NEXT))["__typename"] != "Session"
    await people.do("requestPasswordReset", email=EMAIL)
    await people.do("resetPassword", token=people.mailbox.token(), password=NEXT)
    assert (await people.do("signIn", email=EMAIL, password=NEXT))["__typename"] == "Session"


async def test_a_stolen_session_cannot_guess_the_password_either(people: People):
    viewer = await people.join()
    for _ in range(5):
        await people.do("changePassword", viewer, oldPassword="a guess", newPassword=NEXT)
    locked = await people.do("changePassword", viewer, oldPassword=PASSWORD, newPassword=NEXT)
    assert locked["code"] == "TOO_MANY_ATTEMPTS"


async def test_a_forgotten_password_is_reset_by_mail_once_within_an_hour(people: People):
    viewer = await people.join()
    known = await people.do("requestPasswordReset", email=EMAIL)
    token = people.mailbox.token()
    mails = len(people.mailbox.mails)
    unknown = await people.do("requestPasswordReset", email="nobody@example.com")
    assert known["__typename"] == unknown["__typename"] == "MailRequest"
    assert len(people.mailbox.mails) == mails
    weak = await people.do("resetPassword", token=token, password="password123")
    assert weak["field"] == "password"
    assert (await people.do("resetPassword", token=token, password=NEXT))["email"] == EMAIL
    assert await people.going_on(viewer) == []
    assert (await people.do("resetPassword", token=token, password=NEXT))["code"] == "TOKEN_INVALID"
    assert (await people.do("signIn", email=EMAIL, password=NEXT))["__typename"] == "Session"
    await people.do("requestPasswordReset", email=EMAIL)
    late = people.mailbox.token()
    people.clock.advance(hours=1)
    assert (await people.do("resetPassword", token=late, password=NEXT))["code"] == "TOKEN_INVALID"


async def test_a_reset_proves_the_address_and_lifts_a_lock(people: People):
    await people.do("register", email=EMAIL, password=PASSWORD)
    for _ in range(6):
        await people.do("signIn", email=EMAIL, password="not the password")
    await people.do("requestPasswordReset", email=EMAIL)
    await people.do("resetPassword", token=people.mailbox.token(), password=NEXT)
    assert (await people.do("signIn", email=EMAIL, password=NEXT))["__typename"] == "Session"


async def test_a_token_of_one_purpose_is_none_of_another(people: People):
    await people.do("register", email=EMAIL, password=PASSWORD)
    verifying = people.mailbox.token()
    await people.do("requestPasswordReset", email=EMAIL)
    resetting = people.mailbox.token()
    crossed = await people.do("resetPassword", token=verifying, password=NEXT)
    assert crossed["code"] == "TOKEN_INVALID"
    assert (await people.do("verifyEmail", token=resetting))["code"] == "TOKEN_INVALID"


async def test_old_hashes_are_upgraded_at_the_next_sign_in(people: People):
    viewer = await people.join()
    old = "pbkdf2_sha256$1000$salt$" + "DNu36UrG3RT7tzLxTwIcCjNLlwLMbBgQXvt7bo7H7Mc="
    await people.set_hash(viewer, old)
    assert (await people.do("signIn", email=EMAIL, password=PASSWORD))["__typename"] != "Session"
    await people.set_hash(viewer, people.django_hash(PASSWORD))
    assert (await people.do("signIn", email=EMAIL, password=PASSWORD))["__typename"] == "Session"
    assert (await people.credential(viewer)).password_hash.startswith("$argon2id$")
    assert (await people.do("signIn", email=EMAIL, password=PASSWORD))["__typename"] == "Session"
