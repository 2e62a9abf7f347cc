"""A small OpenID provider on this machine: Authlib's server side over real HTTP, whose answers can be spoilt."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from authlib.oauth2 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.startup import listen
from infra.web.server import serving

CLIENT_ID, CLIENT_SECRET = "penstock", "a secret of the provider's client"
ALGORITHM = "ES256"


@dataclass
class Client:
    """This service, as the provider knows it."""

    id_token_signed_response_alg: str = ALGORITHM

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, uri: str) -> bool:
        return uri.endswith("/auth/local/callback")

    def check_client_secret(self, secret: str) -> bool:
        return secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, kind: str) -> bool:
        return kind == "code"

    def check_grant_type(self, kind: str) -> bool:
        return kind == "authorization_code"


@dataclass
class Code:
    """A code that was given out."""

    code: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


@dataclass
class Provider:
    """Who signs in there next, and how the ID token of it is spoilt."""

    url: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    spoilt: dict[str, Any] = field(default_factory=dict)
    denies: bool = False
    issuer: str | None = None
    codes: dict[str, Code] = field(default_factory=dict)
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one"}))
    foreign_key: ECKey | None = None
    seen: list[dict[str, str]] = field(default_factory=list)

    @property
    def discovery_url(self) -> str:
        return f"{self.url}/.well-known/openid-configuration"


class Grant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]

    def save_authorization_code(self, code: str, request: OAuth2Request) -> Code:
        given = request.payload.data
        saved = Code(
            code,
            given["redirect_uri"],
            given["scope"],
            given.get("nonce"),
            given.get("code_challenge"),
            given.get("code_challenge_method"),
        )
        self.server.provider.codes[code] = saved
        return saved

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        return self.server.provider.codes.get(code)

    def delete_authorization_code(self, code: Code) -> None:
        del self.server.provider.codes[code.code]

    def authenticate_user(self, code: Code) -> dict[str, Any]:
        return self.server.provider.person


class IdTokens(OpenIDCode):
    def __init__(self, provider: Provider) -> None:
        super().__init__(require_nonce=True)
        self.provider = provider

    def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
        return any(code.nonce == nonce for code in self.provider.codes.values())

    def resolve_client_private_key(self, client: Client) -> ECKey:
        return self.provider.foreign_key or self.provider.key

    def get_encode_header(self, client: Client) -> dict[str, str]:
        return {"alg": ALGORITHM, "kid": self.provider.key.kid or ""}

    def get_client_claims(self, client: Client) -> dict[str, Any]:
        return {"iss": self.provider.url, "aud": [CLIENT_ID]}

    def generate_user_info(self, user: dict[str, Any], scope: str) -> UserInfo:
        return UserInfo({**user, **self.provider.spoilt})  # last: it replaces other claims


class Server(AuthorizationServer):
    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self.provider = provider
        self.register_token_generator("default", _token)
        self.register_grant(Grant, [IdTokens(provider), CodeChallenge(required=True)])

    def query_client(self, client_id: str) -> Client | None:
        return Client() if client_id == CLIENT_ID else None

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        pass

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        pass

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        if isinstance(body, dict):
            return JSONResponse(body, status, dict(headers))
        return Response(body, status, dict(headers))


async def _read(request: Request) -> OAuth2Request:
    posted = request.method == "POST"
    given = (
        dict(parse_qsl((await request.body()).decode())) if posted else dict(request.query_params)
    )
    # Authlib's server wants HTTPS; here both ends are this machine.
    url = str(request.url).replace("http:", "https:", 1)
    made = Asked(request.method, url, headers=request.headers)
    made.payload = BasicOAuth2Payload(given)
    made.given = given
    return made


class Asked(OAuth2Request):
    given: dict[str, str]

    @property
    def args(self) -> dict[str, str]:
        return self.given

    @property
    def form(self) -> dict[str, str]:
        return self.given


def _token(**_: Any) -> dict[str, Any]:
    return {
        "token_type": "Bearer",
        "access_token": os.urandom(16).hex(),
        "scope": "openid email profile",
    }


@asynccontextmanager
async def providing(**facts: Any) -> AsyncIterator[Provider]:
    """A provider, listening."""
    provider = Provider(**facts)
    server = Server(provider)

    async def discovery(_: Request) -> Response:
        return JSONResponse(
            {
                "issuer": provider.issuer or provider.url,
                "authorization_endpoint": f"{provider.url}/authorize",
                "token_endpoint": f"{provider.url}/token",
                "jwks_uri": f"{provider.url}/jwks",
                "id_token_signing_alg_values_supported": [ALGORITHM, "HS256", "none"],
            }
        )

    async def authorize(request: Request) -> Response:
        asked = await _read(request)
        provider.seen.append(asked.given)
        grant = server.get_consent_grant(asked, provider.person)
        user = None if provider.denies else provider.person
        return server.create_authorization_response(asked, user, grant)

    async def token(request: Request) -> Response:
        return server.create_token_response(await _read(request))

    async def jwks(_: Request) -> Response:
        return JSONResponse({"keys": [provider.key.as_dict(private=False)]})

    application = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/authorize", authorize),
            Route("/token", token, methods=["POST"]),
            Route("/jwks", jwks),
        ]
    )
    listener = listen("127.0.0.1", 0)
    host, port = listener.getsockname()
    provider.url = f"http://{host}:{port}"
    async with serving(application, listener):
        yield provider
    listener.close()
