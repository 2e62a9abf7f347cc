"""People get all that is kept about them, and can have their account ended, twice asked and with days to think."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from domain.identity import Caller, Role, User, UserStatus, Viewer
from infra.postgres.janitor import Janitor
from resolvers import ids
from tests.factories import HOME_WORKSPACE_ID, NOW, connector, member, save, user, workspace
from tests.resolvers.people import PASSWORD, People, living_people

EXPORT = """mutation($parts: [String!]) { exportMyData(input: {parts: $parts}) {
  ... on PersonalData { generatedAt data } ... on InvalidInput { field } } }"""
DELETE = """mutation($input: DeleteMyAccountInput!) { deleteMyAccount(input: $input) { __typename
  ... on AccountDeletion { confirmUntil dueAt } ... on Error { code } ... on SoleOwner { workspaceIds } } }"""
CONFIRM = """mutation($input: ConfirmAccountDeletionInput!) { confirmAccountDeletion(input: $input) { __typename
  ... on AccountDeletion { confirmUntil dueAt } ... on Error { code } } }"""
CANCEL = "mutation { cancelAccountDeletion { ... on AccountDeletion { dueAt } } }"


@pytest.fixture
async def people(database_url: str) -> AsyncIterator[People]:
    async with living_people(database_url, {"deletion_grace": timedelta(days=3)}) as people:
        yield people


async def exported(people: People, viewer: Viewer) -> dict[str, Any]:
    answer = await people.ask(EXPORT, viewer)
    data: dict[str, Any] = answer["exportMyData"]["data"]
    return data


async def asked(people: People, viewer: Viewer, **input: Any) -> dict[str, Any]:
    result: dict[str, Any] = (await people.ask(DELETE, viewer, input=input))["deleteMyAccount"]
    return result


async def confirmed(people: People, viewer: Viewer, token: str) -> dict[str, Any]:
    answer = await people.ask(CONFIRM, viewer, input={"token": token})
    result: dict[str, Any] = answer["confirmAccountDeletion"]
    return result


async def stored(people: People, viewer: Viewer) -> User:
    async with people.database.read() as session:
        return await session.get_one(User, viewer.user_id)


async def test_an_export_has_every_part_and_nothing_of_others_nor_any_secret(
    people: People,
) -> None:
    ann = await people.join("ann@example.com")
    await people.join("bob@example.com")
    assert ann.user_id is not None
    await save(people.database, member(HOME_WORKSPACE_ID, ann.user_id, Role.ANALYST))
    await save(people.database, connector(workspace_id=ann.workspace_id, name="mine", sealed=b"x"))
    await save(people.database, connector(name="the workspace's"))
    data = await exported(people, ann)
    assert data["account"]["email"] == "ann@example.com"
    assert data["account"]["passwordSet"] is True
    assert {(w["name"], w["role"]) for w in data["workspaces"]} >= {("Personal", "owner")}
    assert len(data["workspaces"]) == 2
    assert len(data["sessions"]) == 1
    assert [c["name"] for c in data["connectors"]] == ["mine"]
    assert {"register", "signIn", "verifyEmail"} <= {e["action"] for e in data["events"]}
    assert set(data) == {
        "account", "identities", "sessions", "workspaces", "groups", "invitations", "apiKeys",
        "events", "connectors", "secrets",
    }  # fmt: skip
    text = str(data)
    assert "bob@example.com" not in text
    for secret in ("argon2", "passwordHash'", "sealed", "tokenHash"):
        assert secret not in text.replace("'field': 'passwordHash'", "")


async def test_an_export_tells_all_of_ones_own_workspace_and_of_others_only_their_names(
    people: People,
) -> None:
    ann = await people.join("ann@example.com")
    assert ann.user_id is not None
    shared = workspace()
    await save(people.database, shared)
    await save(people.database, member(shared.id, ann.user_id, Role.VIEWER))
    told = {one["personal"]: one for one in (await exported(people, ann))["workspaces"]}
    assert {"industry", "location", "timeZone", "currency", "createdAt"} <= told[True].keys()
    assert told[False].keys() == {"id", "name", "personal", "role", "memberSince"}


async def test_an_export_may_be_of_some_parts(people: People) -> None:
    ann = await people.join("ann@example.com")
    answer = await people.ask(EXPORT, ann, parts=["sessions", "secrets"])
    assert set(answer["exportMyData"]["data"]) == {"sessions", "secrets"}
    answer = await people.ask(EXPORT, ann, parts=["sessions", "all"])
    assert answer == {"exportMyData": {"field": "parts.1"}}


async def test_an_export_is_told_in_the_audit_and_refused_to_keys(people: People) -> None:
    ann = await people.join("ann@example.com")
    await exported(people, ann)
    (event,) = await people.events(action="exportMyData")
    assert (event.user_id, event.workspace_id) == (ann.user_id, None)
    robot = Viewer(ann.workspace_id, api_key_id=HOME_WORKSPACE_ID, permissions=ann.permissions)
    _, errors = await people.execute(EXPORT, Caller(robot, "request-2"))
    assert errors[0]["code"] == "FORBIDDEN"


async def test_an_account_ends_after_password_mail_and_days_of_grace(people: People) -> None:
    ann = await people.join("ann@example.com")
    elsewhere = await people.sign_in("ann@example.com")
    assert (await asked(people, ann, password="not the password"))["code"] == "WRONG_PASSWORD"
    before = len(people.mailbox.mails)
    first = await asked(people, ann, password=PASSWORD)
    assert (first["__typename"], first["dueAt"]) == ("AccountDeletion", None)
    assert [mail.to for mail in people.mailbox.mails[before:]] == ["ann@example.com"]
    assert (await stored(people, ann)).deletion_due_at is None
    token = people.mailbox.token()
    assert (await confirmed(people, ann, "no token"))["code"] == "TOKEN_INVALID"

    due = (await confirmed(people, ann, token))["dueAt"]

    assert due.startswith("2026-11-24T12:00:00")
    assert await people.going_on(ann) == [ann.session_id]
    assert elsewhere.session_id != ann.session_id
    assert "2026-11-24 12:00 UTC" in people.mailbox.mails[-1].text
    janitor = Janitor(people.database, people.clock, audit_days=365)
    people.clock.advance(days=2, hours=23)
    await janitor.clean()
    assert (await stored(people, ann)).status is UserStatus.ACTIVE
    people.clock.advance(hours=1)
    await janitor.clean()
    assert (await stored(people, ann)).status is UserStatus.DELETED
    assert (await people.do("signIn", email="ann@example.com", password=PASSWORD))["code"] == (
        "INVALID_CREDENTIALS"
    )
    assert (await people.do("register", email="ann@example.com", password=PASSWORD))["email"]


@pytest.mark.parametrize("by", ["cancelling", "signing in"])
async def test_until_then_an_account_can_be_kept(people: People, by: str) -> None:
    ann = await people.join("ann@example.com")
    await asked(people, ann, password=PASSWORD)
    await confirmed(people, ann, people.mailbox.token())
    assert (await stored(people, ann)).deletion_due_at == NOW + timedelta(days=3)
    if by == "cancelling":
        assert await people.ask(CANCEL, ann) == {"cancelAccountDeletion": {"dueAt": None}}
    else:
        await people.sign_in("ann@example.com")
    assert (await stored(people, ann)).deletion_due_at is None


async def test_a_confirmation_is_good_for_its_user_alone_and_not_after_cancelling(
    people: People,
) -> None:
    ann, bob = await people.join("ann@example.com"), await people.join("bob@example.com")
    await asked(people, ann, password=PASSWORD)
    token = people.mailbox.token()
    assert (await confirmed(people, bob, token))["code"] == "TOKEN_INVALID"
    assert (await stored(people, bob)).deletion_due_at is None
    await people.ask(CANCEL, ann)
    assert (await confirmed(people, ann, token))["code"] == "TOKEN_INVALID"


async def test_whom_others_need_as_owner_is_told_which_workspaces_to_hand_over(
    people: People,
) -> None:
    ann = await people.join("ann@example.com")
    assert ann.user_id is not None
    shared, other = workspace(), user()
    await save(people.database, shared, other)
    await save(
        people.database, member(shared.id, ann.user_id), member(shared.id, other.id, Role.ADMIN)
    )
    refused = await asked(people, ann, password=PASSWORD)
    assert (refused["code"], refused["workspaceIds"]) == (
        "SOLE_OWNER", [ids.global_id("Workspace", shared.id)],
    )  # fmt: skip
    co_owner = user()
    await save(people.database, co_owner)
    await save(people.database, member(shared.id, co_owner.id))
    assert (await asked(people, ann, password=PASSWORD))["__typename"] == "AccountDeletion"


async def test_an_end_is_asked_for_with_the_second_factor_where_it_is_on(people: People) -> None:
    ann = await people.join()
    enrolment = await people.do("enrolTotp", ann, password=PASSWORD)
    app = pyotp.TOTP(enrolment["secret"])
    codes = (await people.do("confirmTotp", ann, totp=app.at(people.clock.now())))["codes"]
    assert (await asked(people, ann, password=PASSWORD))["code"] == "SECOND_FACTOR_REQUIRED"
    wrong = await asked(people, ann, password=PASSWORD, totp="000000")
    assert wrong["code"] == "WRONG_CODE"
    done = await asked(people, ann, password=PASSWORD, totp=codes[0])
    assert done["__typename"] == "AccountDeletion"


async def test_nobodys_mailbox_is_flooded_with_confirmations(people: People) -> None:
    ann = await people.join("ann@example.com")
    before = len(people.mailbox.mails)
    for _ in range(7):
        await asked(people, ann, password=PASSWORD)
    assert len(people.mailbox.mails) - before == 5
