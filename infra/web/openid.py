"""Signing in with OpenID Connect: authorization code, PKCE and nonce, at any provider with a discovery URL."""

from collections.abc import Sequence
from typing import Any, Final

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth, StarletteOAuth2App
from httpx2 import HTTPError
from joserfc.errors import JoseError
from loguru import logger
from starlette.requests import Request
from starlette.responses import Response

from domain.identity.openid import ProvenIdentity
from infra.settings import OpenIdProvider

WELL_KNOWN: Final = "/.well-known/openid-configuration"
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
    | {"EdDSA", "Ed25519"}
)
"""Signed with the provider's private key: nothing that anybody else could make, and never `none`."""
TIMEOUT_SECONDS: Final = 10.0
LEEWAY_SECONDS: Final = 60


class ProviderFailed(Exception):
    """The provider is away, said no, or said something that cannot be trusted; the message is for people."""


class Provider:
    """One provider, found at its discovery URL when it is first needed."""

    def __init__(self, settings: OpenIdProvider) -> None:
        secret = settings.client_secret
        self.name = settings.name
        self._settings = settings
        self._client: StarletteOAuth2App = OAuth().register(
            settings.name,
            client_id=settings.client_id,
            client_secret=None if secret is None else secret.get_secret_value(),
            server_metadata_url=settings.discovery_url,
            client_kwargs={
                "scope": settings.scope,
                "code_challenge_method": "S256",
                "timeout": TIMEOUT_SECONDS,
                **({"token_endpoint_auth_method": "none"} if secret is None else {}),
            },
        )

    async def start(self, request: Request, callback: str) -> Response:
        """The way to the provider; what must come back is kept in the request's session. Raises ProviderFailed."""
        try:
            await self._issuer()
            answer: Response = await self._client.authorize_redirect(request, callback)
        except (HTTPError, ValueError, RuntimeError) as error:
            raise self._away(error) from None
        return answer

    async def finish(self, request: Request) -> ProvenIdentity:
        """Who came back, by an ID token that was checked in full; raises ProviderFailed."""
        if "error" in request.query_params:
            raise ProviderFailed(f"{self.name} did not sign you in.")
        try:
            issuer = await self._issuer()
            claims = {
                "iss": {"essential": True, "value": issuer},
                "aud": {"essential": True, "value": self._settings.client_id},
                "sub": {"essential": True},
                "nonce": {"essential": True},
            }
            token = await self._client.authorize_access_token(  # type: ignore[no-untyped-call]
                request, claims_options=claims, leeway=LEEWAY_SECONDS
            )
        except (AuthlibBaseError, JoseError) as error:
            logger.warning("{} could not be believed: {}", self.name, _kind(error))
            raise ProviderFailed(f"The answer of {self.name} cannot be trusted.") from None
        except (HTTPError, ValueError, RuntimeError) as error:
            raise self._away(error) from None
        if (said := token.get("userinfo")) is None:
            raise ProviderFailed(f"{self.name} sent no ID token.")
        return self._proven(issuer, said)

    async def _issuer(self) -> str:
        """The issuer, which must be who the discovery URL says (OpenID Connect Discovery, 4.3)."""
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        issuer = metadata.get("issuer")
        expected = self._settings.discovery_url.removesuffix(WELL_KNOWN).rstrip("/")
        if not isinstance(issuer, str) or issuer.rstrip("/") != expected:
            metadata.clear()
            raise ValueError("its issuer is not the one of the discovery URL")
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = sorted(ALGORITHMS & set(offered))
        return issuer

    def _proven(self, issuer: str, said: dict[str, Any]) -> ProvenIdentity:
        email, name = said.get("email"), said.get("name")
        return ProvenIdentity(
            provider=self.name,
            issuer=issuer,
            subject=str(said["sub"]),
            email=email if isinstance(email, str) else None,
            email_verified=said.get("email_verified") in (True, "true"),
            name=name.strip()[:200] if isinstance(name, str) else "",
        )

    def _away(self, error: Exception) -> ProviderFailed:
        logger.warning("{} cannot be used: {}", self.name, _kind(error))
        return ProviderFailed(f"{self.name} cannot be reached just now.")


def providers_of(settings: Sequence[OpenIdProvider]) -> dict[str, Provider]:
    """The providers by name."""
    return {item.name: Provider(item) for item in settings}


def _kind(error: Exception) -> str:
    """What went wrong, without what was sent: that holds codes and tokens."""
    return str(getattr(error, "error", None) or type(error).__name__)
