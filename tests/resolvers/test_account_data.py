"""One's own account: shown, changed, closed."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from domain.identity import (
    Member,
    Role,
    User,
    Viewer,
)
from resolvers import ids
from tests import factories
from tests.factories import HOME_WORKSPACE_ID
from tests.resolvers.people import (
    EMAIL,
    PASSWORD,
    People,
)

NEXT = "a new and long passphrase"


async def test_nobodys_mailbox_is_flooded_by_strangers(people: People):
    await people.do("register", email=EMAIL, password=PASSWORD)
    for _ in range(10):
        await people.do("resendVerification", email=EMAIL)
    assert len(people.mailbox.mails) == 5
    people.clock.advance(hours=1)
    await people.do("resendVerification", email=EMAIL)
    assert len(people.mailbox.mails) == 6


async def test_the_viewer_is_told_who_they_are(people: People):
    viewer = await people.join()
    told = await people.ask(
        """{ viewer { user { id email } account { email timeZone secondFactor emailVerifiedAt deletionDueAt }
        workspace { name personal } role permissions workspaces { edges { node { personal } } }
        sessions { edges { node { current } } totalCount } apiKeys { edges { node { id } } } } }""",
        viewer,
    )
    viewer_told = told["viewer"]
    assert viewer_told["user"]["email"] == viewer_told["account"]["email"] == EMAIL
    assert viewer_told["account"]["secondFactor"] is False
    assert (viewer_told["workspace"]["personal"], viewer_told["role"]) == (True, "OWNER")
    assert "OWN_WORKSPACE" in viewer_told["permissions"]
    assert viewer_told["sessions"]["totalCount"] == 1


async def test_an_account_is_updated_in_part(people: People):
    viewer = await people.join()
    account = await people.do("updateAccount", viewer, timeZone="Europe/Lisbon")
    assert (account["name"], account["timeZone"]) == ("", "Europe/Lisbon")
    account = await people.do("updateAccount", viewer, name=" Ada ")
    assert (account["name"], account["timeZone"]) == ("Ada", "Europe/Lisbon")
    assert (await people.do("updateAccount", viewer))["code"] == "NO_FIELDS_TO_UPDATE"
    assert (await people.do("updateAccount", viewer, timeZone="Mars"))["field"] == "timeZone"
    assert (await people.do("updateAccount", viewer, name="a\nb"))["field"] == "name"


async def test_a_closed_account_is_signed_out_and_stays_out(people: People):
    viewer = await people.join()
    assert (await people.do("deactivateAccount", viewer, password="no"))["code"] == "WRONG_PASSWORD"
    closed = await people.do("deactivateAccount", viewer, password=PASSWORD)
    assert closed["__typename"] == "Account"
    assert await people.going_on(viewer) == []
    answer = await people.do("signIn", email=EMAIL, password=PASSWORD)
    assert answer["code"] == "INVALID_CREDENTIALS"


async def test_the_last_owner_of_a_shared_workspace_cannot_close_their_account(people: People):
    viewer, other = await people.join(), await people.join("bob@example.com")
    shared, now = factories.workspace(), people.clock.now()
    async with people.database.write() as session:
        session.add(shared)
        await session.flush()
        for one, role in ((viewer, Role.OWNER), (other, Role.ANALYST)):
            session.add(
                Member(workspace_id=shared.id, user_id=one.user_id, role=role, created_at=now)
            )
    refused = await people.do("deactivateAccount", viewer, password=PASSWORD)
    assert refused["code"] == "SOLE_OWNER"
    assert refused["workspaceIds"] == [ids.global_id("Workspace", shared.id)]
    async with people.database.write() as session:
        member = await session.get_one(Member, (shared.id, other.user_id))
        member.role = Role.OWNER
    assert (await people.do("deactivateAccount", viewer, password=PASSWORD))["email"] == EMAIL


async def test_signing_in_keeps_an_account_that_waits_for_its_deletion(people: People):
    await people.join()
    await people.change(User, EMAIL, deletion_due_at=people.clock.now() + timedelta(days=3))
    await people.sign_in()
    async with people.database.read() as session:
        user = (await session.exec(select(User).where(col(User.email) == EMAIL))).one()
    assert user.deletion_due_at is None


OF_ONESELF: dict[str, dict[str, Any]] = {
    "signOut": {},
    "endSession": {"id": "x"},
    "changePassword": {"newPassword": "x"},
    "changeEmail": {"email": "x@example.com", "password": "x"},
    "confirmEmailChange": {"token": "x"},
    "linkProvider": {"provider": "x", "password": "x"},
    "confirmProviderLink": {"code": "x"},
    "unlinkProvider": {"provider": "x"},
    "updateAccount": {"name": "x"},
    "deactivateAccount": {},
    "enrolTotp": {},
    "confirmTotp": {"totp": "123456"},
    "disableTotp": {"totp": "123456"},
    "renewRecoveryCodes": {"totp": "123456"},
}


async def test_what_is_about_oneself_needs_a_signed_in_person(people: People):
    key = Viewer(HOME_WORKSPACE_ID, api_key_id=UUID(int=1))
    for mutation, input in OF_ONESELF.items():
        _, refused = await people.refusal(mutation, None, **input)
        assert refused["code"] == "UNAUTHENTICATED", mutation
        _, refused = await people.refusal(mutation, key, **input)
        assert refused["code"] == "FORBIDDEN", mutation
