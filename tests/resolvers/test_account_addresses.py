"""Another e-mail address: proven by both sides, and nobody learns which addresses have an account."""

from domain.audit import AuditOutcome
from domain.identity import User
from domain.identity.one_time import MAILS_AN_HOUR
from tests.factories import user
from tests.resolvers.people import EMAIL, PASSWORD, People
from tests.resolvers.test_second_factor import code, enrolled

NEW = "ada.l@example.com"
OTHER = "bob@example.com"


async def asked(people: People, viewer, email: str = NEW, **more):
    return await people.do("changeEmail", viewer, email=email, password=PASSWORD, **more)


def mailed(people: People) -> list[tuple[str, str]]:
    return [(mail.to, mail.subject) for mail in people.mailbox.mails]


async def test_the_new_address_holds_once_its_reader_says_so(people: People):
    viewer = await people.join()
    people.mailbox.mails.clear()
    assert (await asked(people, viewer, " Ada.L@Example.com"))["email"] == NEW
    assert mailed(people) == [
        (EMAIL, "Your e-mail address is about to change"),
        (NEW, "Confirm your new e-mail address"),
    ]
    token = people.mailbox.token()
    assert token not in people.mailbox.mails[0].text
    await people.sign_in(EMAIL)
    changed = await people.do("confirmEmailChange", viewer, token=token)
    assert (changed["__typename"], changed["email"]) == ("Account", NEW)
    assert mailed(people)[-1] == (EMAIL, "Your e-mail address changed")
    assert len(await people.going_on(viewer)) == 2
    refused = await people.do("signIn", email=EMAIL, password=PASSWORD)
    assert refused["code"] == "INVALID_CREDENTIALS"
    await people.sign_in(NEW)
    again = await people.do("confirmEmailChange", viewer, token=token)
    assert again["code"] == "TOKEN_INVALID"


async def test_a_stolen_session_changes_no_address(people: People):
    viewer, secret, _ = await enrolled(people)
    people.mailbox.mails.clear()
    wrong = await people.do("changeEmail", viewer, email=NEW, password="not the password")
    assert wrong["code"] == "WRONG_PASSWORD"
    assert (await asked(people, viewer))["code"] == "SECOND_FACTOR_REQUIRED"
    assert (await asked(people, viewer, totp="000000"))["code"] == "WRONG_CODE"
    assert people.mailbox.mails == []
    people.clock.advance(minutes=1)
    assert (await asked(people, viewer, totp=code(people, secret)))["email"] == NEW


async def test_an_account_without_a_password_gets_one_by_mail_first(people: People):
    viewer = await people.join()
    await people.set_hash(viewer, None)
    assert (await asked(people, viewer))["code"] == "WRONG_PASSWORD"


async def test_an_address_that_has_an_account_is_told_and_the_answer_is_the_same(people: People):
    await people.join(OTHER)
    viewer = await people.join()
    people.mailbox.mails.clear()
    evened = people.evened
    taken = await asked(people, viewer, OTHER)
    assert mailed(people) == [
        (EMAIL, "Your e-mail address is about to change"),
        (OTHER, "Your address belongs to an account already"),
    ]
    assert "token" not in people.mailbox.mails[-1].text
    free = await asked(people, viewer)
    assert {**taken, "email": NEW} == free
    assert people.evened == evened + 2


async def test_an_address_that_is_taken_meanwhile_stays_with_who_took_it(people: People):
    viewer = await people.join()
    await asked(people, viewer)
    token = people.mailbox.token()
    async with people.database.write() as session:
        session.add(user(email=NEW))
    refused = await people.do("confirmEmailChange", viewer, token=token)
    assert refused["code"] == "TOKEN_INVALID"
    async with people.database.read() as session:
        assert (await session.get_one(User, viewer.user_id)).email == EMAIL


async def test_the_token_is_good_for_its_user_alone_for_an_hour_and_the_last_of_several(
    people: People,
):
    other, viewer = await people.join(OTHER), await people.join()
    await asked(people, viewer)
    first = people.mailbox.token()
    await asked(people, viewer)
    last = people.mailbox.token()
    assert (await people.do("confirmEmailChange", viewer, token=first))["code"] == "TOKEN_INVALID"
    assert (await people.do("confirmEmailChange", other, token=last))["code"] == "TOKEN_INVALID"
    people.clock.advance(hours=1)
    assert (await people.do("confirmEmailChange", viewer, token=last))["code"] == "TOKEN_INVALID"


async def test_a_change_voids_the_tokens_mailed_to_the_old_address(people: People):
    viewer = await people.join()
    await people.do("requestPasswordReset", email=EMAIL)
    resetting = people.mailbox.token()
    await asked(people, viewer)
    await people.do("confirmEmailChange", viewer, token=people.mailbox.token())
    refused = await people.do("resetPassword", token=resetting, password="a new passphrase")
    assert refused["code"] == "TOKEN_INVALID"


async def test_a_new_password_voids_a_change_that_was_asked_for(people: People):
    viewer = await people.join()
    await asked(people, viewer)
    token = people.mailbox.token()
    await people.do("changePassword", viewer, oldPassword=PASSWORD, newPassword="a new passphrase")
    assert (await people.do("confirmEmailChange", viewer, token=token))["code"] == "TOKEN_INVALID"


async def test_no_mailbox_is_flooded(people: People):
    viewer = await people.join()
    people.mailbox.mails.clear()
    for _ in range(MAILS_AN_HOUR + 1):
        assert (await asked(people, viewer))["__typename"] == "MailRequest"
    assert len(people.mailbox.mails) == 2 * MAILS_AN_HOUR


async def test_the_present_address_and_what_is_none_are_refused(people: People):
    viewer = await people.join()
    for email in (EMAIL, EMAIL.upper(), "nobody"):
        refused = await asked(people, viewer, email)
        assert (refused["__typename"], refused["field"]) == ("InvalidInput", "email")


async def test_the_audit_tells_of_the_change_and_of_no_address(people: People):
    viewer = await people.join()
    await asked(people, viewer)
    token = people.mailbox.token()
    await people.do("confirmEmailChange", viewer, token=token)
    [event] = await people.events(action="confirmEmailChange")
    assert (event.outcome, event.subject_type) == (AuditOutcome.DONE, "User")
    assert [change.get("field") for change in event.changes].count("email") == 1
    told = str([event.model_dump() for event in await people.events()])
    assert [secret for secret in (EMAIL, NEW, token) if secret in told] == []
