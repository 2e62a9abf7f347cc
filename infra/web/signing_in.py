"""The routes below `/auth`: to OpenID providers and back, and the demo's one click.

Each ends with a code for `exchangeSignInCode` or `confirmProviderLink` that lives for minutes; a token that lets anybody
in is never in a URL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from domain.identity import (
    Act,
    Caller,
    Databases,
    SignInMethod,
    User,
    UserStatus,
    linking,
    openid,
)
from domain.identity.denials import TokenInvalid
from domain.identity.door import Door
from domain.identity.openid import ProvenIdentity, Refusal, SignInRefused
from infra.web.openid import Provider, ProviderFailed
from infra.web.requests import note_of

COOKIE: Final = "penstock_sign_in"
COOKIE_SECONDS: Final = 600
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
GRAPHIQL: Final = "graphiql"
DEMO_HEADER: Final = "x-penstock-preflight"
NO_STORE: Final = {"cache-control": "no-store"}
LINK_INVALID: Final = "The link was used already, or is too old. Begin again."
REASONS: Final[Mapping[Refusal, str]] = {
    Refusal.EMAIL_UNVERIFIED: "The provider has not verified your e-mail address.",
    Refusal.ACCOUNT_UNVERIFIED: "There is an account with your address that nobody has verified. "
    "Reset its password, then sign in.",
    Refusal.ACCOUNT_PROTECTED: "Your account has a second factor and is not linked to this provider. "
    "Sign in with your password.",
    Refusal.ACCOUNT_INACTIVE: "This account is not active.",
    Refusal.REGISTRATION_CLOSED: "Only invited people may register here.",
}


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """Where people come from and go to.

    `app_url` is the only other place that the browser is ever sent to; without it, and for GraphiQL, it goes to
    this service's own page. `demo` is the user whom the demo signs in.
    """

    public_url: str | None = None
    app_url: str | None = None
    graphiql: bool = True
    demo: UUID | None = None
    cookie_key: bytes = field(default=b"", repr=False)


def cookie_key(key: bytes) -> bytes:
    """The key that signs the cookie of a sign-in under way, from a key at rest: the same in every process."""
    return HKDF(SHA256(), 32, salt=None, info=b"penstock sign-in cookie").derive(key)


def sign_in_routes(
    providers: Mapping[str, Provider], databases: Databases, door: Door, options: SignInOptions
) -> ASGIApp:
    """The application of `/auth/...`."""
    desk = _Desk(providers, databases, door, options)
    routes = [
        Route("/{provider}", desk.start, methods=["GET"]),
        Route("/{provider}/callback", desk.finish, methods=["GET"]),
    ]
    if options.demo is not None:
        routes.insert(0, Route("/demo", desk.demo, methods=["POST"]))
    secure = options.public_url is not None and options.public_url.startswith("https:")
    return SessionMiddleware(
        Router(routes),
        secret_key=options.cookie_key.hex(),
        session_cookie=COOKIE,
        max_age=COOKIE_SECONDS,
        path="/auth",
        same_site="lax",
        https_only=secure,
    )


class _Desk:
    """Where people are received."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        databases: Databases,
        door: Door,
        options: SignInOptions,
    ) -> None:
        self._providers = providers
        self._databases = databases
        self._door = door
        self._options = options

    async def start(self, request: Request) -> Response:
        """To the provider. `?challenge=` binds the code to the client, `?to=graphiql` comes back to that page.

        Without a challenge a code that somebody else was given would sign people in as them. `?link=` is instead the
        token of a signed-in user, who alone can use the code.
        """
        provider = self._providers.get(request.path_params["provider"])
        if provider is None:
            return _no_provider()
        link = request.query_params.get("link")
        challenge = request.query_params.get("challenge", "")
        if link is None and not CHALLENGE.fullmatch(challenge):
            return PlainTextResponse(
                "challenge must be given: the S256 of a verifier (RFC 7636)", 400
            )
        request.session.clear()
        if request.query_params.get("to") == GRAPHIQL:
            request.session["to"] = GRAPHIQL
        request.session["challenge"] = challenge
        callback = f"{self._base(request)}/auth/{provider.name}/callback"
        try:
            if link is not None:
                request.session["link"] = ""
                request.session["link"] = await self._leaving(request, link, provider.name)
            answer = await provider.start(request, callback)
        except TokenInvalid:
            return self._back(request, error="link", message=LINK_INVALID)
        except ProviderFailed as error:
            return self._back(request, error="provider", message=str(error))
        answer.headers.update(NO_STORE)
        return answer

    async def finish(self, request: Request) -> Response:
        """Back from the provider."""
        provider = self._providers.get(request.path_params["provider"])
        if provider is None:
            return _no_provider()
        link = request.session.get("link")
        try:
            proven = await provider.finish(request)
            if link:
                code = {"link": await self._to_link(request, UUID(link), proven)}
            else:
                code = {"code": await self._to_sign_in(request, proven)}
        except ProviderFailed as error:
            answer = self._back(request, error="provider", message=str(error))
        except SignInRefused as error:
            answer = self._back(request, error=error.refusal.value, message=REASONS[error.refusal])
        else:
            answer = self._back(request, **code)
        request.session.clear()
        return answer

    async def demo(self, request: Request) -> Response:
        """A code for the demo's user, for pages of this service alone: no other may send the header unasked."""
        if DEMO_HEADER not in request.headers or not _own_page(request):
            return PlainTextResponse("Only this service's own page may ask for this", 403)
        act = self._act(request, "signInToDemo")
        async with self._databases.accounts(act).write() as session:
            user = await session.get(User, self._options.demo)
            if user is None or user.status is not UserStatus.ACTIVE:
                return PlainTextResponse("The demo's user is not active", 403)
            code = await openid.code_for(session, self._door, user, SignInMethod.OPERATOR)
        return JSONResponse({"code": code}, headers=NO_STORE)

    async def _leaving(self, request: Request, link: str, provider: str) -> str:
        act = self._act(request, "linkProvider")
        async with self._databases.accounts(act).write() as session:
            return str(await linking.leave(session, link, provider, self._door.clock.now()))

    async def _to_link(self, request: Request, user_id: UUID, proven: ProvenIdentity) -> str:
        act = self._act(request, "linkProvider")
        async with self._databases.accounts(act).write() as session:
            return await linking.code_for(session, self._door, user_id, proven)

    async def _to_sign_in(self, request: Request, proven: ProvenIdentity) -> str:
        challenge, act = request.session.get("challenge"), self._act(request, "signInWithProvider")
        async with self._databases.accounts(act).write() as session:
            user = await openid.admit(session, self._door, proven)
            return await openid.code_for(
                session, self._door, user, SignInMethod.OPENID_CONNECT, challenge
            )

    def _back(self, request: Request, **facts: str) -> Response:
        """To the application, or to GraphiQL; the fragment is not sent to any server."""
        to_page = request.session.get("to") == GRAPHIQL or self._options.app_url is None
        if to_page and not self._options.graphiql:
            return PlainTextResponse("PENSTOCK_APP_URL is not set", 404)
        page = "link-provider" if "link" in request.session else "sign-in"
        place = "/graphql" if to_page else f"{self._options.app_url}/{page}"
        return RedirectResponse(f"{place}#{urlencode(facts)}", 303, headers=NO_STORE)

    def _base(self, request: Request) -> str:
        return self._options.public_url or f"{request.url.scheme}://{request.url.netloc}"

    def _act(self, request: Request, action: str) -> Act:
        caller = Caller(
            viewer=None,
            request_id=note_of(request.scope).request_id,
            address=request.client.host if request.client else None,
            agent=request.headers.get("user-agent"),
        )
        return Act(caller, action)


def _own_page(request: Request) -> bool:
    """Whether a page of this service asks, or no page at all."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    return same and site == "same-origin"


def _no_provider() -> Response:
    return PlainTextResponse("No such provider", 404)
