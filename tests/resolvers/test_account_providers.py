"""The providers of an account, over GraphQL: listed, linked, unlinked."""

from dataclasses import replace
from typing import Any

import pytest

from domain.identity import ExternalIdentity, Viewer, linking
from domain.identity.openid import ProvenIdentity
from tests.factories import new_id
from tests.resolvers.people import EMAIL, PASSWORD, People
from tests.resolvers.test_second_factor import code, enrolled

PROVIDERS = "{ viewer { account { providers { name linkedAt lastUsedAt } } } }"


@pytest.fixture
def people(people: People) -> People:
    """With two providers to sign in with."""
    people.world.services = replace(people.world.services, sign_in_providers=("work", "home"))
    return people


async def listed(people: People, viewer: Viewer) -> list[dict[str, Any]]:
    providers: list[dict[str, Any]] = (await people.ask(PROVIDERS, viewer))["viewer"]["account"][
        "providers"
    ]
    return providers


async def linked(people: People, viewer: Viewer, *providers: str) -> None:
    async with people.database.write() as session:
        for provider in providers:
            session.add(
                ExternalIdentity(
                    id=new_id(),
                    user_id=viewer.user_id,
                    provider=provider,
                    issuer=f"https://{provider}.example.com",
                    subject=str(viewer.user_id),
                    created_at=people.clock.now(),
                    last_used_at=people.clock.now(),
                )
            )


async def come_back(people: People, viewer: Viewer, provider: str) -> str:
    """The code of a way there and back."""
    proven = ProvenIdentity(provider, "https://id.example.com", "ada", None, False, "")
    assert viewer.user_id is not None
    async with people.database.write() as session:
        return await linking.code_for(session, people.door, viewer.user_id, proven)


async def test_a_provider_is_linked_by_who_gave_the_password_and_came_back(people: People):
    viewer = await people.join()
    begun = await people.do("linkProvider", viewer, provider="work", password=PASSWORD)
    assert begun["provider"] == "work"
    async with people.database.write() as session:
        user_id = await linking.leave(session, begun["token"], "work", people.clock.now())
    assert user_id == viewer.user_id
    assert await listed(people, viewer) == []
    given = await come_back(people, viewer, "work")
    done = await people.do("confirmProviderLink", viewer, code=given)
    assert (done["__typename"], done["email"]) == ("Account", EMAIL)
    [provider] = await listed(people, viewer)
    assert provider["name"] == "work"
    assert provider["linkedAt"] == provider["lastUsedAt"]
    assert people.mailbox.mails[-1].subject == "The list of providers to sign in with changed"
    [event] = await people.events(action="confirmProviderLink")
    assert (event.subject_type, event.subject_id) == ("User", str(viewer.user_id))
    assert given not in str(event.model_dump())


async def test_a_stolen_session_links_nothing(people: People):
    viewer, secret, _ = await enrolled(people)
    wrong = await people.do("linkProvider", viewer, provider="work", password="not the password")
    assert wrong["code"] == "WRONG_PASSWORD"
    proof = {"provider": "work", "password": PASSWORD}
    assert (await people.do("linkProvider", viewer, **proof))["code"] == "SECOND_FACTOR_REQUIRED"
    begun = await people.do("linkProvider", viewer, **proof, totp=code(people, secret))
    assert begun["__typename"] == "ProviderLink"
    unknown = await people.do("linkProvider", viewer, provider="another", password=PASSWORD)
    assert (unknown["__typename"], unknown["field"]) == ("InvalidInput", "provider")


async def test_a_code_is_its_user_s_for_five_minutes(people: People):
    other, viewer = await people.join("bob@example.com"), await people.join()
    given = await come_back(people, viewer, "work")
    refused = await people.do("confirmProviderLink", other, code=given)
    assert refused["code"] == "TOKEN_INVALID"
    people.clock.advance(minutes=5)
    late = await people.do("confirmProviderLink", viewer, code=given)
    assert late["code"] == "TOKEN_INVALID"
    assert await listed(people, viewer) == await listed(people, other) == []


async def test_a_provider_is_unlinked_and_no_other_account_s(people: People):
    other, viewer = await people.join("bob@example.com"), await people.join()
    await linked(people, viewer, "work", "home")
    await linked(people, other, "work")
    done = await people.do("unlinkProvider", viewer, provider="work")
    assert done["__typename"] == "Account"
    assert [provider["name"] for provider in await listed(people, viewer)] == ["home"]
    assert [provider["name"] for provider in await listed(people, other)] == ["work"]
    again = await people.do("unlinkProvider", viewer, provider="work")
    assert (again["__typename"], again["field"]) == ("InvalidInput", "provider")
    assert len(await people.events(action="unlinkProvider")) == 2


async def test_the_only_way_in_stays(people: People):
    viewer = await people.join()
    await people.set_hash(viewer, None)
    await linked(people, viewer, "work", "gone")
    refused = await people.do("unlinkProvider", viewer, provider="work")
    assert refused["code"] == "ONLY_WAY_IN"  # the operator offers the other one no longer
    await linked(people, viewer, "home")
    assert (await people.do("unlinkProvider", viewer, provider="work"))["__typename"] == "Account"
    assert (await people.do("unlinkProvider", viewer, provider="home"))["code"] == "ONLY_WAY_IN"
    assert [one["name"] for one in await listed(people, viewer)] == ["gone", "home"]
