"""Signing in at an OpenID provider: real HTTP, real discovery, really signed ID tokens; and all that is refused."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from sqlmodel import SQLModel, select
from starlette.routing import Mount, Router

from domain.identity import (
    Act,
    Caller,
    Credential,
    ExternalIdentity,
    Invitation,
    Member,
    Role,
    SignInMethod,
    User,
    UserStatus,
    openid,
    registration,
)
from domain.identity.denials import TokenInvalid
from domain.identity.door import Door
from domain.identity.sessions import SignedIn
from infra.postgres.database import Database
from infra.postgres.roles import ACCOUNTS
from infra.postgres.tenancy import Tenancy
from infra.security.vault import KeyVault
from infra.settings import OpenIdProvider
from infra.system import RandomIds, SystemClock
from infra.web.openid import providers_of
from infra.web.requests import Requests
from infra.web.signing_in import SignInOptions, sign_in_routes
from tests import factories
from tests.doors import door as new_door
from tests.infra.web.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider, providing

PERSON = {"sub": "1", "email": "Jo@Example.com", "email_verified": True, "name": "Jo"}
EMAIL = "jo@example.com"
APP = "https://app.example.com"
HERE = "http://penstock.test"
CALLER = Caller(None, "request-1")
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class House:
    """This service's `/auth`, a provider, and a browser that goes between them."""

    provider: Provider
    browser: httpx.AsyncClient
    web: httpx.AsyncClient
    accounts: Any
    door: Door

    async def leave(self, **query: str) -> httpx.Response:
        """To the provider's page."""
        return await self.browser.get("/auth/local", params={"challenge": CHALLENGE} | query)

    async def consent(self, **query: str) -> str:
        """The address the provider sends the browser back to."""
        away = await self.leave(**query)
        back = await self.web.get(away.headers["location"])
        assert back.status_code == 302, back.text
        return back.headers["location"]

    async def sign_in(self, **query: str) -> dict[str, str]:
        """All the way; what the fragment of the last page says."""
        return fragment(await self.browser.get(await self.consent(**query)))

    async def exchange(self, code: str, verifier: str | None = VERIFIER) -> SignedIn:
        async with self.accounts.write() as session:
            return await openid.exchange(session, self.door, code, verifier, CALLER)

    async def stored(self, entity: type[SQLModel]) -> list[Any]:
        async with self.accounts.read() as session:
            return list(await session.exec(select(entity)))

    async def has(self, *things: SQLModel) -> None:
        async with self.accounts.write() as session:
            for thing in things:
                session.add(thing)
                await session.flush()

    async def user(self, **values: Any) -> User:
        async with self.accounts.write() as session:
            user = await registration.new_user(session, self.door, email=EMAIL, verified=True)
            for name, value in values.items():
                setattr(user, name, value)
        return user


def fragment(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 303, response.text
    assert response.headers["cache-control"] == "no-store"
    place, _, said = response.headers["location"].partition("#")
    assert place in {f"{APP}/sign-in", f"{APP}/link-provider", "/graphql"}
    return {name: values[0] for name, values in parse_qs(said).items()}


@asynccontextmanager
async def housed(url: str, **rules: Any) -> AsyncIterator[House]:
    async with (
        providing(person=dict(PERSON)) as provider,
        Database(url, pool_size=2, role=ACCOUNTS) as database,
    ):
        tenancy = Tenancy(database, database)
        door = new_door(KeyVault([bytes(32)]), SystemClock(), RandomIds(), **rules)
        known = OpenIdProvider(
            name="local",
            discovery_url=provider.discovery_url,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,  # type: ignore[arg-type]
        )
        routes = sign_in_routes(
            providers_of([known]), tenancy, door, SignInOptions(HERE, APP, cookie_key=bytes(32))
        )
        transport = httpx.ASGITransport(Requests(Router([Mount("/auth", routes)])))
        async with (
            httpx.AsyncClient(transport=transport, base_url=HERE) as browser,
            httpx.AsyncClient() as web,
        ):
            accounts = tenancy.accounts(Act(CALLER, "test"))
            yield House(provider, browser, web, accounts, door)


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    async with housed(database_url) as house:
        yield house


async def test_somebody_new_gets_an_account_a_workspace_and_a_session(house: House) -> None:
    said = await house.sign_in()
    signed_in = await house.exchange(said["code"])
    assert (signed_in.user.email, signed_in.user.name) == (EMAIL, "Jo")
    assert signed_in.user.email_verified_at is not None
    mine = [item for item in await house.stored(Member) if item.user_id == signed_in.user.id]
    assert [member.role for member in mine] == [Role.OWNER]
    [credential] = [
        item for item in await house.stored(Credential) if item.user_id == signed_in.user.id
    ]
    assert credential.password_hash is None
    [identity] = await house.stored(ExternalIdentity)
    assert (identity.issuer, identity.subject) == (house.provider.url, "1")


async def test_a_name_from_elsewhere_holds_nothing_that_a_terminal_obeys(house: House) -> None:
    house.provider.person["name"] = "Jo\x1b[31m\u202e\nAdmin"
    said = await house.sign_in()
    assert (await house.exchange(said["code"])).user.name == "Jo[31mAdmin"


async def test_what_is_asked_of_the_provider_is_bound_to_this_browser(house: House) -> None:
    away = await house.leave()
    asked = {
        name: values[0]
        for name, values in parse_qs(urlsplit(away.headers["location"]).query).items()
    }
    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == f"{HERE}/auth/local/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 20
    assert len(asked["nonce"]) >= 20
    cookie = away.headers["set-cookie"]
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/auth" in cookie


async def test_the_same_person_comes_back_even_with_another_address(house: House) -> None:
    first = await house.exchange((await house.sign_in())["code"])
    house.provider.person = {**PERSON, "email": "other@example.com"}
    second = await house.exchange((await house.sign_in())["code"])
    assert first.user.id == second.user.id


async def test_an_account_is_linked_by_an_address_that_both_sides_verified(house: House) -> None:
    user = await house.user()
    signed_in = await house.exchange((await house.sign_in())["code"])
    assert signed_in.user.id == user.id


@pytest.mark.parametrize("verified", [False, None, "false"])
async def test_an_address_that_the_provider_did_not_verify_opens_nothing(
    house: House, verified: object
) -> None:
    await house.user()
    house.provider.person = {**PERSON, "email_verified": verified}
    assert (await house.sign_in())["error"] == "email_unverified"
    assert await house.stored(ExternalIdentity) == []


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ({"email_verified_at": None}, "account_unverified"),
        ({"second_factor": True}, "account_protected"),
        ({"status": UserStatus.DEACTIVATED}, "account_inactive"),
        ({"status": UserStatus.DELETED}, "account_inactive"),
    ],
)
async def test_accounts_that_an_address_alone_must_not_open_stay_closed(
    house: House, state: dict[str, Any], error: str
) -> None:
    await house.user(**state)
    said = await house.sign_in()
    assert said["error"] == error
    assert "code" not in said
    assert await house.stored(ExternalIdentity) == []


async def test_who_is_linked_needs_no_code_here_but_an_active_account(house: House) -> None:
    user = (await house.exchange((await house.sign_in())["code"])).user
    await change(house, user, second_factor=True)
    assert "code" in await house.sign_in()
    await change(house, user, status=UserStatus.DEACTIVATED)
    assert (await house.sign_in())["error"] == "account_inactive"


async def change(house: House, user: User, **values: Any) -> None:
    async with house.accounts.write() as session:
        found = await session.get_one(User, user.id)
        for name, value in values.items():
            setattr(found, name, value)


async def test_by_invitation_only_strangers_stay_out_and_the_invited_come_in(
    database_url: str,
) -> None:
    async with housed(database_url, invited_only=True) as house:
        assert (await house.sign_in())["error"] == "registration_closed"
        assert await house.stored(ExternalIdentity) == []
        workspace, now = factories.workspace(), datetime.now(UTC)
        invitation = Invitation(
            id=factories.new_id(),
            workspace_id=workspace.id,
            email=EMAIL,
            role=Role.VIEWER,
            token_hash=b"x",
            created_at=now,
            expires_at=now.replace(year=now.year + 1),
        )
        await house.has(workspace, invitation)
        assert "code" in await house.sign_in()


@pytest.mark.parametrize(
    "spoilt",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": ["another"]},
        {"aud": ["another"], "azp": CLIENT_ID},
        {"iss": "https://another.example.com"},
        {"exp": 1},
        {"sub": None},
        {"azp": "another"},
    ],
    ids=str,
)
async def test_an_id_token_that_was_not_made_for_this_sign_in_is_refused(
    house: House, spoilt: dict[str, Any]
) -> None:
    house.provider.spoilt = spoilt
    said = await house.sign_in()
    assert (said["error"], "code" in said) == ("provider", False)
    assert await house.stored(ExternalIdentity) == []


async def test_an_id_token_signed_by_somebody_else_is_refused(house: House) -> None:
    house.provider.foreign_key = ECKey.generate_key("P-256", {"kid": "one"})
    assert (await house.sign_in())["error"] == "provider"
    assert await house.stored(ExternalIdentity) == []


async def test_a_new_key_of_the_provider_is_fetched(house: House) -> None:
    await house.sign_in()
    house.provider.key = ECKey.generate_key("P-256", {"kid": "two"})
    assert "code" in await house.sign_in()


async def test_an_issuer_that_is_not_the_discovery_url_s_is_refused(house: House) -> None:
    house.provider.issuer = "https://another.example.com"
    assert fragment(await house.leave())["error"] == "provider"
    house.provider.issuer = None
    assert "code" in await house.sign_in()


async def test_a_denied_consent_ends_in_an_error(house: House) -> None:
    house.provider.denies = True
    assert (await house.sign_in())["error"] == "provider"


async def test_a_way_back_is_good_once_and_for_the_browser_that_began(house: House) -> None:
    back = await house.consent()
    cookies = dict(house.browser.cookies)
    house.browser.cookies.clear()
    assert fragment(await house.browser.get(back))["error"] == "provider"
    house.browser.cookies.update(cookies)
    assert "code" in fragment(await house.browser.get(back))
    assert fragment(await house.browser.get(back))["error"] == "provider"
    house.browser.cookies.update(cookies)  # somebody kept it: the provider knows its code was used
    assert fragment(await house.browser.get(back))["error"] == "provider"


async def test_a_state_of_somebody_else_is_refused(house: House) -> None:
    back = await house.consent()
    forged = back.replace(parse_qs(urlsplit(back).query)["state"][0], "forged")
    assert fragment(await house.browser.get(forged))["error"] == "provider"


async def test_a_code_is_good_once_and_for_who_knows_the_verifier(house: House) -> None:
    code = (await house.sign_in())["code"]
    for wrong in (None, "w" * 43):
        with pytest.raises(TokenInvalid):
            await house.exchange(code, wrong)
    assert (await house.exchange(code)).user.email == EMAIL
    with pytest.raises(TokenInvalid):
        await house.exchange(code)


async def test_nobody_leaves_without_a_challenge_nor_takes_a_code_that_was_planted(
    house: House,
) -> None:
    assert (await house.browser.get("/auth/local")).status_code == 400
    assert (await house.leave(challenge="plain")).status_code == 400
    user = await house.user()
    async with house.accounts.write() as session:
        planted = await openid.code_for(session, house.door, user, SignInMethod.OPERATOR)
    with pytest.raises(TokenInvalid):
        await house.exchange(planted)
    assert (await house.exchange(planted, None)).user.email == EMAIL


async def test_a_code_ends_after_a_minute_and_with_the_account(house: House) -> None:
    user = await house.user()
    async with house.accounts.write() as session:
        code = await openid.code_for(
            session, house.door, user, SignInMethod.OPENID_CONNECT, CHALLENGE
        )
    await change(house, user, status=UserStatus.DEACTIVATED)
    with pytest.raises(TokenInvalid):
        await house.exchange(code)


async def test_the_browser_is_sent_to_no_place_but_the_application_and_this_page(
    house: House,
) -> None:
    for query in ({"to": "https://evil.example.com"}, {"next": "//evil.example.com"}, {}):
        answer = await house.browser.get(await house.consent(**query))
        assert answer.headers["location"].startswith(f"{APP}/sign-in#code=")
    answer = await house.browser.get(await house.consent(to="graphiql"))
    assert answer.headers["location"].startswith("/graphql#code=")


async def test_an_unknown_provider_is_not_found(house: House) -> None:
    assert (await house.browser.get("/auth/another")).status_code == 404
    assert (await house.browser.get("/auth/another/callback")).status_code == 404
    assert (await house.browser.post("/auth/demo")).status_code in {404, 405}


async def test_a_provider_that_is_away_is_told_to_the_person(house: House) -> None:
    house.provider.issuer = "x"
    assert "cannot be reached" in fragment(await house.leave())["message"]
