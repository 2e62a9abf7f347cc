"""Who may read the audit, what they find in it, and that no mutation escapes it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    is_required_input_field,
)

from domain.audit import AuditOutcome
from domain.errors import DomainError
from domain.identity import Caller, Credential, Permission, Role, Viewer
from resolvers import ids
from resolvers.auditing import OF_ACCOUNTS
from schema.root import schema
from tests.factories import HOME_WORKSPACE_ID, OWNER_ID, api_key, member, new_id, save, user
from tests.resolvers.people import ANONYMOUS, PASSWORD, People, living_people
from tests.resolvers.world import VIEWER
from tests.tenants import a_tenant

GRAPHQL = schema._schema
MUTATIONS = sorted(GRAPHQL.mutation_type.fields) if GRAPHQL.mutation_type else []
EVENTS = """query($workspace: ID, $filter: AuditEventFilter, $first: Int, $after: String) {
  auditEvents(workspaceId: $workspace, filter: $filter, first: $first, after: $after) {
    totalCount pageInfo { endCursor hasNextPage }
    edges { node { id at sequence action outcome code subjectType subjectId address agent requestId hash
      actor { userId apiKeyId sessionId user { name } apiKey { name } } changes { field before after } } } } }"""
OWN = "{ accountEvents { edges { node { action outcome code subjectType sequence } } } }"


@pytest.fixture
async def people(database_url: str) -> AsyncIterator[People]:
    async with living_people(database_url) as people:
        yield people


async def read(people: People, viewer: Viewer = VIEWER, **variables: Any) -> list[dict[str, Any]]:
    page = await page_of(people, viewer, **variables)
    return [edge["node"] for edge in page["edges"]]


async def page_of(people: People, viewer: Viewer = VIEWER, **variables: Any) -> dict[str, Any]:
    data = await people.ask(EVENTS, viewer, **variables)
    page: dict[str, Any] = orjson.loads(orjson.dumps(data))["auditEvents"]
    return page


def as_caller(viewer: Viewer) -> Caller:
    return replace(ANONYMOUS, viewer=viewer)


def something(kind: GraphQLInputType) -> Any:
    """A value that the type admits and no rule needs to like."""
    if isinstance(kind, GraphQLNonNull):
        return something(kind.of_type)
    if isinstance(kind, GraphQLList):
        return [something(kind.of_type)]
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        required = {n: f for n, f in kind.fields.items() if is_required_input_field(f)}
        if kind.extensions["strawberry-definition"].is_one_of:
            required = dict([next(iter(kind.fields.items()))])
        return {name: something(field.type) for name, field in required.items()}
    values = {
        "Boolean": True,
        "DateTime": "2026-11-21T12:00:00Z",
        "ID": ids.global_id("User", UUID(int=5)),
    }
    return values.get(kind.name, 1 if kind.name in ("Int", "Long", "Float") else "x")


async def test_every_mutation_leaves_an_event_whatever_becomes_of_it(people: People) -> None:
    assert GRAPHQL.mutation_type is not None
    hash = await people.door.hasher.hash("another password")
    await save(people.database, Credential(user_id=OWNER_ID, password_hash=hash))
    missing = []
    for name in MUTATIONS:
        arguments = GRAPHQL.mutation_type.fields[name].args
        values = {key: something(argument.type) for key, argument in arguments.items()}
        signature = ", ".join(f"${key}: {argument.type}" for key, argument in arguments.items())
        given = ", ".join(f"{key}: ${key}" for key in arguments)
        document = f"mutation{f'({signature})' if signature else ''} {{ {name}{f'({given})' if given else ''} {{ __typename }} }}"
        result = await schema.execute(
            document, values, context_value=people.world.services.context(as_caller(VIEWER))
        )
        for error in result.errors or ():
            assert isinstance(error.original_error, DomainError), (name, error)
        events = await people.events(action=name)
        if not events or events[-1].request_id != "request-1" or events[-1].user_id != OWNER_ID:
            missing.append(name)
    assert missing == []


def test_the_mutations_about_ones_own_account_are_mutations() -> None:
    assert set(MUTATIONS) >= OF_ACCOUNTS


async def test_an_event_says_who_did_what_to_what_from_where(people: People) -> None:
    await people.ask(
        'mutation { updateWorkspace(input: {name: "Renamed"}) { __typename } }', VIEWER
    )
    (event,) = await read(people)
    subject = ids.global_id("Workspace", HOME_WORKSPACE_ID)
    assert (event["action"], event["outcome"], event["subjectType"], event["subjectId"]) == (
        "updateWorkspace", "DONE", "Workspace", subject,
    )  # fmt: skip
    assert (event["address"], event["agent"], event["requestId"]) == (
        "198.51.100.1", "Tests/1.0", "request-1",
    )  # fmt: skip
    assert event["actor"]["userId"] == ids.global_id("User", OWNER_ID)
    assert [c["field"] for c in event["changes"]] == ["name"]
    assert event["changes"][0]["after"] == "Renamed"
    assert len(event["hash"]) == 64
    again = await people.ask(
        "query($id: ID!) { node(id: $id) { ... on AuditEvent { sequence } } }",
        VIEWER,
        id=event["id"],
    )
    assert again["node"]["sequence"] == event["sequence"]


@pytest.mark.parametrize("role", [Role.ANALYST, Role.VIEWER])
async def test_who_may_not_read_the_audit_is_told_so_and_finds_no_event(
    people: People, role: Role
) -> None:
    viewer = await a_tenant(people.database, role)
    document = 'mutation { createConnector(input: {name: "", url: "x"}) { __typename } }'
    await people.execute(document, as_caller(VIEWER))
    _, errors = await people.execute(EVENTS, as_caller(viewer))
    assert errors[0]["code"] == "FORBIDDEN"
    (event,) = await people.events(action="createConnector")
    node = await people.ask(
        "query($id: ID!) { node(id: $id) { id } }", viewer, id=ids.global_id("AuditEvent", event.id)
    )
    assert node == {"node": None}


async def test_another_workspaces_audit_is_not_found_whether_it_exists_or_not(
    people: People,
) -> None:
    other = await a_tenant(people.database)
    for id in (other.workspace_id, new_id()):
        given = ids.global_id("Workspace", id)
        _, errors = await people.execute(EVENTS, as_caller(VIEWER), workspace=given)
        assert errors == [{"code": "NOT_FOUND", "field": "workspaceId"}]


async def test_events_are_filtered_and_paged_newest_first(people: People) -> None:
    for name in ("a", "b", "c"):
        await people.ask(
            "mutation($name: String!) { updateWorkspace(input: {name: $name}) { __typename } }",
            VIEWER,
            name=name,
        )
    await people.ask('mutation { deleteConnector(input: {id: "x"}) { __typename } }', VIEWER)
    page = await page_of(people, filter={"actions": ["updateWorkspace"]}, first=2)
    assert page["totalCount"] == 3
    assert [e["node"]["changes"][0]["after"] for e in page["edges"]] == ["c", "b"]
    rest = await read(
        people, filter={"actions": ["updateWorkspace"]}, after=page["pageInfo"]["endCursor"]
    )
    assert [e["changes"][0]["after"] for e in rest] == ["a"]
    refused = await read(people, filter={"outcomes": ["REFUSED"]})
    assert [(e["action"], e["code"]) for e in refused] == [
        ("deleteConnector", "CONNECTOR_NOT_FOUND")
    ]
    mine = ids.global_id("User", OWNER_ID)
    assert len(await read(people, filter={"actorIds": [mine], "subjectType": "Workspace"})) == 3
    assert await read(people, filter={"actorIds": [ids.global_id("User", new_id())]}) == []
    subject = ids.global_id("Workspace", HOME_WORKSPACE_ID)
    assert len(await read(people, filter={"subjectId": subject})) == 3
    assert (
        await read(
            people,
            filter={
                "until": page["edges"][0]["node"]["at"],
                "since": page["edges"][0]["node"]["at"],
            },
        )
        == []
    )
    _, errors = await people.execute(EVENTS, as_caller(VIEWER), filter={"actorIds": ["x"]})
    assert errors == [{"code": "BAD_USER_INPUT", "field": "filter.actorIds.0"}]


async def test_a_key_that_may_read_the_audit_does_and_its_deeds_bear_its_name(
    people: People,
) -> None:
    key = api_key(
        HOME_WORKSPACE_ID, OWNER_ID, name="robot", permissions=["read_audit", "read_data"]
    )
    await save(people.database, key)
    permissions = frozenset({Permission.READ_AUDIT, Permission.READ_DATA})
    viewer = Viewer(HOME_WORKSPACE_ID, api_key_id=key.id, permissions=permissions)
    await people.execute(
        'mutation { updateWorkspace(input: {name: "no"}) { __typename } }', as_caller(viewer)
    )
    (event,) = await read(people, viewer)
    assert (event["outcome"], event["code"]) == ("REFUSED", "FORBIDDEN")
    (seen,) = await read(
        people, filter={"actorIds": [ids.global_id("ApiKey", key.id)], "outcomes": ["REFUSED"]}
    )
    assert seen["actor"]["apiKey"] == {"name": "robot"}


async def test_looking_at_others_data_is_told_once_an_hour(people: People) -> None:
    for _ in range(3):
        await read(people)
        await people.ask("{ workspace { members { edges { node { role } } } } }", VIEWER)
    looks = [e.action for e in await people.events(user_id=OWNER_ID)]
    assert sorted(looks) == ["view:auditEvents", "view:members"]
    people.clock.advance(hours=1)
    await read(people)
    assert len(await people.events(action="view:auditEvents")) == 2


async def test_a_look_is_told_whichever_way_it_is_taken(people: People) -> None:
    colleague, key = user(), api_key(HOME_WORKSPACE_ID, OWNER_ID)
    await save(people.database, colleague, key)
    await save(people.database, member(HOME_WORKSPACE_ID, colleague.id, Role.VIEWER))
    document = "query($id: ID!) { node(id: $id) { id } }"
    for kind, id in (("User", OWNER_ID), ("User", colleague.id), ("ApiKey", key.id)):
        found = await people.ask(document, VIEWER, id=ids.global_id(kind, id))
        assert found["node"] is not None
    looks = [e.action for e in await people.events(user_id=OWNER_ID)]
    assert sorted(looks) == ["view:apiKeys", "view:members"]
    people.clock.advance(hours=1)
    await people.ask("{ viewer { apiKeys { edges { node { id } } } } }", VIEWER)
    assert len(await people.events(action="view:apiKeys")) == 2


async def test_failed_sign_ins_are_told_alike_for_known_and_unknown_addresses(
    people: People,
) -> None:
    await people.join("ann@example.com")
    for email in ("ann@example.com", "nobody@example.com"):
        before = len(await people.events(action="signIn"))
        await people.do("signIn", email=email, password="not the password")
        (event,) = (await people.events(action="signIn"))[before:]
        assert (event.outcome, event.code) == (AuditOutcome.REFUSED, "INVALID_CREDENTIALS")
        assert (event.workspace_id, event.user_id) == (None, None)
        assert "example.com" not in str(event.changes)


async def test_what_nobody_did_not_even_try_properly_is_no_event(people: People) -> None:
    await people.do("register", email="no address", password=PASSWORD)
    await people.refusal("changePassword", None, newPassword="x" * 12)
    assert await people.events() == []


async def test_people_see_what_they_did_and_what_was_done_to_their_account(people: People) -> None:
    ann = await people.join("ann@example.com")
    await people.join("bob@example.com")
    data = await people.ask(OWN, ann)
    actions = [edge["node"]["action"] for edge in data["accountEvents"]["edges"]]
    assert "signIn" in actions
    assert "register" in actions
    assert actions.count("signIn") == 1
    # A number would say how much others do.
    assert {edge["node"]["sequence"] for edge in data["accountEvents"]["edges"]} == {None}


async def test_an_account_is_not_told_of_in_the_workspace_one_acts_in(people: People) -> None:
    ann = await people.join("ann@example.com")
    await people.do("changePassword", ann, oldPassword="wrong wrong", newPassword="x" * 12)
    (event,) = await people.events(action="changePassword")
    assert (event.outcome, event.workspace_id, event.user_id) == (
        AuditOutcome.REFUSED, None, ann.user_id,
    )  # fmt: skip
