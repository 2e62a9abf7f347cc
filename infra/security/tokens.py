"""Access tokens: JWTs of one issuer, one audience and one algorithm."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import KeyBase
from joserfc.jws import JWSRegistry, extract_compact
from pydantic import SecretStr

from domain.identity import AccessToken, Claims, Unauthenticated
from domain.ports import Clock, Database, Ids, Vault
from infra.security.signing_keys import KeyPairs, SharedSecret, TokenKeys
from infra.settings import Settings

LEEWAY_SECONDS: Final = 10
_LONGEST = 4096
_NEEDED: Final[jwt.ClaimsOption] = {"essential": True}


class _OneAlgorithm(JWSRegistry):
    """Signs and verifies with one algorithm; whatever a token's header asks for, there is no other."""

    def __init__(self, only: str) -> None:
        super().__init__(algorithms=[only])
        self._only = only

    def get_alg(self, name: str) -> Any:
        """The one algorithm; without joserfc's advice to write `EdDSA` as `Ed25519`, which few verifiers read yet."""
        if name != self._only:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


class AccessTokens:
    """Issues and verifies access tokens; implements `domain.identity.TokenIssuer`."""

    def __init__(
        self,
        keys: TokenKeys,
        clock: Clock,
        ids: Ids,
        *,
        issuer: str,
        audience: str,
        lifetime: timedelta,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._ids = ids
        self._issuer = issuer
        self._audience = audience
        self._lifetime = lifetime
        self._registry = _OneAlgorithm(keys.algorithm)

    async def start(self) -> None:
        """Have a key to sign with; raises what the database raises."""
        await self._keys.start()

    async def rotate(self) -> str | None:
        """Sign with a new key from now on; its id, or None where a shared secret signs."""
        return await self._keys.rotate()

    async def check(self) -> None:
        """Raise when there is no key to issue tokens with."""
        await self._keys.current()

    async def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set that verifies these tokens; empty for a shared secret."""
        return {"keys": list(await self._keys.public())}

    async def issue(self, user_id: UUID, session_id: UUID) -> AccessToken:
        """A token of this user's session."""
        kid, key = await self._keys.current()
        now = int(self._clock.now().timestamp())
        ends = now + int(self._lifetime.total_seconds())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": now,
            "nbf": now,
            "exp": ends,
            "jti": str(self._ids.new()),
        }
        header = {"alg": self._keys.algorithm, "kid": kid}
        text = jwt.encode(header, claims, key, registry=self._registry)
        return AccessToken(text, datetime.fromtimestamp(ends, UTC))

    async def verify(self, token: str) -> Claims:
        """What a good token says; raises Unauthenticated with the reason for any other."""
        try:
            key = await self._key_of(token)
            claims = jwt.decode(token, key, registry=self._registry).claims
            self._check(claims)
            return Claims(
                user_id=UUID(claims["sub"]),
                session_id=UUID(claims["sid"]),
                token_id=claims["jti"],
                issued_at=datetime.fromtimestamp(claims["iat"], UTC),
                expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            )
        except ExpiredTokenError:
            raise Unauthenticated("access token expired") from None
        except (JoseError, ValueError, TypeError, OverflowError):
            raise Unauthenticated("access token not valid") from None

    async def _key_of(self, token: str) -> KeyBase:
        if len(token) > _LONGEST:
            raise ValueError("too long")
        header = extract_compact(token.encode(), registry=self._registry).headers()
        if header.get("alg") != self._keys.algorithm:
            raise ValueError("of another algorithm")
        kid = header.get("kid")
        key = await self._keys.of(kid) if isinstance(kid, str) else None
        if key is None:
            raise ValueError("signed with an unknown key")
        return key

    def _check(self, claims: dict[str, Any]) -> None:
        now = int(self._clock.now().timestamp())
        rules = jwt.JWTClaimsRegistry(
            now=now,
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub=_NEEDED,
            sid=_NEEDED,
            jti=_NEEDED,
            iat=_NEEDED,
            exp=_NEEDED,
        )
        rules.validate(claims)


def access_tokens(
    settings: Settings, database: Database, vault: Vault, clock: Clock, ids: Ids, issuer: str
) -> AccessTokens:
    """Access tokens as the settings want them; raises ValueError for HS256 without a secret."""
    lifetime = timedelta(minutes=settings.access_token_minutes)
    keys: TokenKeys
    if settings.token_algorithm == SharedSecret.algorithm:
        keys = SharedSecret(_secret(settings.token_secret))
    else:
        keys = KeyPairs(database, vault, clock, lifetime)
    return AccessTokens(
        keys, clock, ids, issuer=issuer, audience=settings.token_audience, lifetime=lifetime
    )


def _secret(secret: SecretStr | None) -> str:
    if secret is None:
        raise ValueError("PENSTOCK_TOKEN_SECRET is needed for HS256")
    return secret.get_secret_value()
