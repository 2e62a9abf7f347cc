"""Registering and signing in, through the schema."""

import asyncio
from datetime import timedelta

from sqlmodel import select

from domain.audit import AuditOutcome
from domain.identity import (
    Invitation,
    Member,
    Role,
    SignInAttempts,
    User,
    UserStatus,
    Workspace,
)
from resolvers import ids
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, OWNER_ID
from tests.resolvers.people import (
    EMAIL,
    PASSWORD,
    People,
    living_people,
)

NEXT = "a new and long passphrase"


async def test_a_registered_person_proves_the_address_and_signs_in(people: People):
    asked = await people.do("register", email=" Ada@Example.com ", password=PASSWORD, name="Ada")
    assert asked == {"__typename": "MailRequest", "email": "ada@example.com"}
    refused = await people.do("signIn", email=EMAIL, password=PASSWORD)
    assert refused["code"] == "EMAIL_NOT_VERIFIED"
    verified = await people.do("verifyEmail", token=people.mailbox.token())
    assert verified["email"] == EMAIL
    session = await people.do("signIn", email="ADA@example.com", password=PASSWORD)
    assert session["user"]["name"] == "Ada"
    claims = await people.door.tokens.verify(session["accessToken"])
    assert ids.global_id("User", claims.user_id) == session["user"]["id"]


async def test_everybody_gets_a_personal_workspace_that_they_own(people: People):
    viewer = await people.join()
    async with people.database.read() as session:
        workspace = await session.get_one(Workspace, viewer.workspace_id)
        member = await session.get_one(Member, (workspace.id, viewer.user_id))
    assert (workspace.personal, member.role) == (True, Role.OWNER)


async def test_a_known_address_is_answered_like_a_new_one_and_told_by_mail(people: People):
    await people.join()
    hashed = people.hasher.asked["hash"]
    answer = await people.do("register", email=EMAIL, password=NEXT)
    assert answer == {"__typename": "MailRequest", "email": EMAIL}
    assert people.hasher.asked["hash"] == hashed + 1
    assert people.mailbox.mails[-1].subject == "You already have an account"
    assert (await people.do("signIn", email=EMAIL, password=NEXT))["code"] == "INVALID_CREDENTIALS"
    assert await people.count(User) == 2  # the database begins with one


async def test_registrations_of_one_address_at_once_make_one_user(people: People):
    answers = await asyncio.gather(
        *(people.do("register", email=EMAIL, password=PASSWORD) for _ in range(4))
    )
    assert {answer["__typename"] for answer in answers} == {"MailRequest"}
    assert await people.count(User) == 2


async def test_whoever_registers_an_address_beforehand_gains_nothing(people: People):
    await people.do("register", email=EMAIL, password="the stranger's password")
    await people.do("register", email=EMAIL, password=PASSWORD)
    await people.do("verifyEmail", token=people.mailbox.token())
    strangers = await people.do("signIn", email=EMAIL, password="the stranger's password")
    assert strangers["code"] == "INVALID_CREDENTIALS"
    assert (await people.do("signIn", email=EMAIL, password=PASSWORD))["__typename"] == "Session"


async def test_a_mailed_token_is_good_once_and_for_its_time(people: People):
    await people.do("register", email=EMAIL, password=PASSWORD)
    first = people.mailbox.token()
    people.clock.advance(hours=24)
    assert (await people.do("verifyEmail", token=first))["code"] == "TOKEN_INVALID"
    await people.do("resendVerification", email=EMAIL)
    second = people.mailbox.token()
    assert (await people.do("verifyEmail", token=second))["__typename"] == "User"
    assert (await people.do("verifyEmail", token=second))["code"] == "TOKEN_INVALID"
    assert (await people.do("verifyEmail", token="nonsense"))["code"] == "TOKEN_INVALID"
    assert (await people.do("signIn", email=EMAIL, password=PASSWORD))["__typename"] == "Session"


async def test_links_lead_to_the_application_where_there_is_one(database_url: str):
    rules = {"app_url": "https://app.example.com"}
    async with living_people(database_url, rules=rules) as people:
        await people.do("register", email=EMAIL, password=PASSWORD)
        assert "https://app.example.com/verify-email?token=" in people.mailbox.mails[-1].text


async def test_by_invitation_only_who_was_invited_gets_in_and_nobody_learns_who(database_url: str):
    async with living_people(database_url, rules={"invited_only": True}) as people:
        uninvited = await people.do("register", email=EMAIL, password=PASSWORD)
        assert people.mailbox.mails == []
        await factories.save(
            people.database,
            Invitation(
                id=factories.new_id(),
                workspace_id=HOME_WORKSPACE_ID,
                email=EMAIL,
                role=Role.VIEWER,
                token_hash=b"hash",
                invited_by=OWNER_ID,
                created_at=people.clock.now(),
                expires_at=people.clock.now() + timedelta(days=1),
            ),
        )
        invited = await people.do("register", email=EMAIL, password=PASSWORD)
        assert invited == uninvited
        await people.do("verifyEmail", token=people.mailbox.token())
        signed_in = await people.do("signIn", email=EMAIL, password=PASSWORD)
        assert signed_in["__typename"] == "Session"


async def test_what_is_no_address_is_refused(people: People):
    for mutation in ("register", "signIn"):
        answer = await people.do(mutation, email="ada@", password=PASSWORD)
        assert (answer["__typename"], answer["field"]) == ("InvalidInput", "email")


async def test_unknown_addresses_are_answered_like_wrong_passwords_after_the_same_work(
    people: People,
):
    await people.join()
    await people.join("deactivated@example.com")
    await people.change(User, "deactivated@example.com", status=UserStatus.DEACTIVATED)
    answers, work = [], []
    for email in (EMAIL, "nobody@example.com", "deactivated@example.com"):
        before, evened = people.hasher.asked.copy(), people.evened
        answers.append(await people.do("signIn", email=email, password="not the password"))
        work.append(people.hasher.asked - before)
        assert people.evened == evened + 1
    assert answers[0] == answers[1] == answers[2]
    assert work == [{"verify": 1}] * 3
    right = await people.do("signIn", email="deactivated@example.com", password=PASSWORD)
    assert right == answers[0]


async def test_failures_make_the_next_attempt_wait_longer_also_at_unknown_addresses(
    people: People,
):
    await people.join()
    for email in (EMAIL, "nobody@example.com"):
        for _ in range(5):
            failed = await people.do("signIn", email=email, password="not the password")
            assert failed["code"] == "INVALID_CREDENTIALS"
        waits = []
        for _ in range(12):
            before = people.hasher.asked["verify"]
            locked = await people.do("signIn", email=email, password=PASSWORD)
            assert locked["code"] == "TOO_MANY_ATTEMPTS", locked
            assert people.hasher.asked["verify"] == before
            waits.append(locked["retryAfterSeconds"])
            people.clock.advance(seconds=waits[-1])
            await people.do("signIn", email=email, password="not the password")
        assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
        people.clock.advance(minutes=15)
    assert (await people.do("signIn", email=EMAIL, password=PASSWORD))["__typename"] == "Session"
    failed = await people.do("signIn", email=EMAIL, password="not the password")
    assert failed["code"] == "INVALID_CREDENTIALS"


async def test_sign_ins_are_audited_with_their_end_and_without_the_address(people: People):
    viewer = await people.join()
    await people.do("signIn", email=EMAIL, password="not the password")
    await people.do("signIn", email="nobody@example.com", password="not the password")
    events = await people.events(action="signIn")
    said = [(event.outcome, event.code, event.subject_id) for event in events]
    user = str(viewer.user_id)
    assert (AuditOutcome.DONE, None, user) in said
    assert (AuditOutcome.REFUSED, "INVALID_CREDENTIALS", user) in said
    assert (AuditOutcome.REFUSED, "INVALID_CREDENTIALS", None) in said
    assert "example.com" not in str([event.changes for event in events])


async def test_attempts_are_kept_by_a_hash_of_the_address(people: People):
    await people.do("signIn", email=EMAIL, password=PASSWORD)
    async with people.database.read() as session:
        kept = (await session.exec(select(SignInAttempts))).one()
    assert (len(kept.key), kept.failures) == (32, 1)
    assert EMAIL.encode() not in kept.key


async def test_answers_that_must_tell_nothing_take_the_usual_time(people: People):
    await people.join()
    for mutation, more in (
        ("register", {"password": PASSWORD}),
        ("resendVerification", {}),
        ("requestPasswordReset", {}),
    ):
        for email in (EMAIL, "nobody@example.com"):
            evened = people.evened
            answer = await people.do(mutation, email=email, **more)
            assert (answer["__typename"], people.evened) == ("MailRequest", evened + 1)


async def test_an_owner_who_registers_again_is_told_of_it_only_so_often(people: People):
    await people.join()
    for _ in range(8):
        await people.do("register", email=EMAIL, password=NEXT)
    told = [mail for mail in people.mailbox.mails if mail.subject == "You already have an account"]
    assert len(told) == 5
    reset = await people.do("resetPassword", token=people.mailbox.token(), password=NEXT)
    assert reset["email"] == EMAIL
