"""Linking an account with a provider: there and back over real HTTP, and all the ways to link a stranger."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.errors import InvalidInput
from domain.identity import Credential, ExternalIdentity, User, linking, registration
from domain.identity.denials import IdentityTaken, TokenInvalid, WrongPassword
from tests.infra.web.test_openid import APP, CALLER, PERSON, House, fragment, housed

ADA, PASSWORD = "ada@example.com", "correct horse battery"
OFFERED = ("local",)


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with housed(database_url) as house:
        yield house


async def person(house: House, email: str = ADA, **values: Any) -> User:
    """Somebody with a password, whose address the provider does not know."""
    async with house.accounts.write() as session:
        hash = await house.door.hasher.hash(PASSWORD)
        return await registration.new_user(
            session, house.door, email=email, password_hash=hash, verified=True, **values
        )


async def token(house: House, user: User) -> str:
    begun = await linking.begin_link(
        house.accounts, house.door, user.id, "local", OFFERED, password=PASSWORD, code=None
    )
    return begun.token


async def code(house: House, user: User) -> str:
    """What the way there and back ends with."""
    return (await house.sign_in(link=await token(house, user)))["link"]


async def confirm(house: House, user: User, code: str) -> User:
    return await linking.confirm_link(house.accounts, house.door, CALLER, user.id, code)


async def test_who_is_signed_in_links_the_provider_and_signs_in_with_it(house: House) -> None:
    ada = await person(house)
    answer = await house.browser.get(await house.consent(link=await token(house, ada)))
    assert answer.headers["location"].startswith(f"{APP}/link-provider#link=")
    said = fragment(answer)
    assert set(said) == {"link"}
    assert await house.stored(ExternalIdentity) == []
    assert (await confirm(house, ada, said["link"])).id == ada.id
    signed_in = await house.exchange((await house.sign_in())["code"])
    assert signed_in.user.id == ada.id


async def test_a_stranger_who_was_sent_the_link_is_not_linked(house: House) -> None:
    """The stranger's browser comes back with a code that is worthless to them, and the sender never sees it."""
    ada, stranger = await person(house), await person(house, "bob@example.com")
    strangers = await code(house, ada)
    with pytest.raises(TokenInvalid):
        await confirm(house, stranger, strangers)
    assert await house.stored(ExternalIdentity) == []


async def test_a_code_to_sign_in_with_links_nobody_and_one_to_link_signs_nobody_in(
    house: House,
) -> None:
    ada = await person(house)
    with pytest.raises(TokenInvalid):
        await house.exchange(await code(house, ada), None)
    signing_in = (await house.sign_in())["code"]
    with pytest.raises(TokenInvalid):
        await confirm(house, ada, signing_in)


async def test_a_token_and_a_code_are_good_once(house: House) -> None:
    ada = await person(house)
    given = await token(house, ada)
    linked = (await house.sign_in(link=given))["link"]
    again = await house.leave(link=given)
    assert again.headers["location"].startswith(f"{APP}/link-provider#")
    assert fragment(again)["error"] == "link"
    await confirm(house, ada, linked)
    with pytest.raises(TokenInvalid):
        await confirm(house, ada, linked)
    assert len(await house.stored(ExternalIdentity)) == 1


async def test_a_token_of_another_provider_or_of_nobody_leads_nowhere(house: House) -> None:
    ada = await person(house)
    begun = await linking.begin_link(
        house.accounts, house.door, ada.id, "other", ("other",), password=PASSWORD, code=None
    )
    for wrong in (begun.token, "forged", ""):
        said = fragment(await house.leave(link=wrong))
        assert (said["error"], "link" in said) == ("link", False)
    assert house.provider.seen == []


async def test_the_way_back_links_for_the_browser_that_left_alone(house: House) -> None:
    back = await house.consent(link=await token(house, await person(house)))
    house.browser.cookies.clear()
    assert fragment(await house.browser.get(back))["error"] == "provider"


async def test_an_identity_of_another_account_stays_there(house: House) -> None:
    joined = await house.exchange((await house.sign_in())["code"])
    ada = await person(house)
    linked = await code(house, ada)
    with pytest.raises(IdentityTaken):
        await confirm(house, ada, linked)
    [identity] = await house.stored(ExternalIdentity)
    assert identity.user_id == joined.user.id


async def test_one_identity_of_a_provider_is_enough(house: House) -> None:
    ada = await person(house)
    first = await code(house, ada)
    house.provider.person = {**PERSON, "sub": "2"}
    second = await code(house, ada)
    with pytest.raises(TokenInvalid):
        await confirm(house, ada, first)
    await confirm(house, ada, second)
    with pytest.raises(InvalidInput):
        await token(house, ada)
    assert [item.subject for item in await house.stored(ExternalIdentity)] == ["2"]


async def test_a_failed_way_there_says_so_where_it_began(house: House) -> None:
    house.provider.denies = True
    answer = await house.browser.get(
        await house.consent(link=await token(house, await person(house)))
    )
    assert answer.headers["location"].startswith(f"{APP}/link-provider#error=provider")


async def test_an_account_without_a_password_begins_no_link(
    house: House,
) -> None:
    ada = await person(house)
    async with house.accounts.write() as session:
        (await session.get_one(Credential, ada.id)).password_hash = None
    with pytest.raises(WrongPassword):
        await token(house, ada)
