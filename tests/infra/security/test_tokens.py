import asyncio
import base64
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey
from joserfc.jws import JWSRegistry
from sqlalchemy import func
from sqlmodel import select

from domain.identity import Claims, SigningKey, Unauthenticated
from infra.postgres.database import Database
from infra.security.signing_keys import ASK_AGAIN_AFTER, KeyPairs, SharedSecret, TokenKeys
from infra.security.tokens import LEEWAY_SECONDS, AccessTokens
from infra.security.vault import KeyVault
from infra.system import RandomIds
from tests.factories import FixedClock
from tests.resolvers.world import CountedDatabase

LIFETIME = timedelta(minutes=15)
VAULT = KeyVault([bytes(32)])
SECRET = "a shared secret of more than 32 bytes"


def tokens(keys: TokenKeys, clock: FixedClock, **other: str) -> AccessTokens:
    parties = {"issuer": "https://api.example.com", "audience": "penstock", **other}
    return AccessTokens(keys, clock, RandomIds(), lifetime=LIFETIME, **parties)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def keys(database: Database, clock: FixedClock) -> KeyPairs:
    return KeyPairs(database, VAULT, clock, LIFETIME)


@pytest.fixture
async def issuer(keys: KeyPairs, clock: FixedClock) -> AccessTokens:
    issuer = tokens(keys, clock)
    await issuer.start()
    return issuer


async def refusal(verifier: AccessTokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(token)
    return refused.value.reason


def encoded(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    head, body, signature = token.split(".")
    header, claims = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body))
    return header, claims, signature


def signed(key: OctKey | OKPKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    registry = JWSRegistry(algorithms=["HS256", "Ed25519", "HS512"])
    return jwt.encode(header, claims, key, registry=registry)


async def test_a_token_says_who_and_which_session_until_it_ends(
    issuer: AccessTokens, clock: FixedClock
):
    user_id, session_id = uuid4(), uuid4()
    token, expires_at = await issuer.issue(user_id, session_id)
    claims = await issuer.verify(token)
    assert (claims.user_id, claims.session_id) == (user_id, session_id)
    assert claims.expires_at == expires_at == clock.now() + LIFETIME
    header, body, _ = parts(token)
    assert (header["alg"], body["iss"], body["aud"]) == (
        "EdDSA",
        "https://api.example.com",
        "penstock",
    )
    clock.advance(minutes=15, seconds=LEEWAY_SECONDS - 1)
    assert await issuer.verify(token) == claims
    clock.advance(seconds=1)
    assert await refusal(issuer, token) == "access token expired"


async def test_anybody_can_verify_a_token_with_the_published_keys_alone(issuer: AccessTokens):
    token, _ = await issuer.issue(uuid4(), uuid4())
    published = await issuer.jwks()
    assert "d" not in published["keys"][0]
    key_set = KeySet.import_key_set(published)  # type: ignore[arg-type]

    class Eddsa(JWSRegistry):
        def get_alg(self, name: str) -> Any:
            return self.algorithms[name]

    assert (
        jwt.decode(token, key_set, registry=Eddsa(algorithms=["EdDSA"])).claims == parts(token)[1]
    )


async def test_forged_tokens_are_refused(issuer: AccessTokens, keys: KeyPairs):
    token, _ = await issuer.issue(uuid4(), uuid4())
    header, claims, signature = parts(token)
    [public] = await keys.public()
    raw = base64.urlsafe_b64decode(public["x"] + "=")
    confused = [
        signed(OctKey.import_key(secret), {"alg": algorithm, "kid": header["kid"]}, claims)
        for secret in (raw, json.dumps(public).encode(), public["x"].encode())
        for algorithm in ("HS256", "HS512")
    ]
    another = OKPKey.generate_key("Ed25519")
    forged = {
        "unsigned": f"{encoded({'alg': 'none'})}.{encoded(claims)}.",
        "unsigned in capitals": f"{encoded({'alg': 'NONE', 'kid': header['kid']})}.{encoded(claims)}.",
        "unsigned under its header": f"{encoded(header)}.{encoded(claims)}.",
        "with another key": signed(another, {"alg": "Ed25519", "kid": header["kid"]}, claims),
        "of an unknown key": f"{encoded({**header, 'kid': 'nobody'})}.{encoded(claims)}.{signature}",
        "without a key's id": f"{encoded({'alg': 'EdDSA'})}.{encoded(claims)}.{signature}",
        "with a key of its own": signed(
            another, {"alg": "Ed25519", "jwk": another.as_dict(private=False)}, claims
        ),
        "tampered": f"{encoded(header)}.{encoded({**claims, 'sub': str(uuid4())})}.{signature}",
        "with a critical extension": f"{encoded({**header, 'crit': ['x'], 'x': 1})}.{encoded(claims)}.{signature}",
        "no token": "nonsense",
        "nothing": "",
        "not ASCII": "é.é.é",
        "lone surrogate": "\udc80.a.b",
        "endless": "a" * 1_000_000,
        "a list": f"{encoded([1])}.{encoded([])}.{signature}",
        **{f"confused {number}": text for number, text in enumerate(confused)},
    }
    for name, text in forged.items():
        assert await refusal(issuer, text) == "access token not valid", name


async def test_a_token_must_be_ours_for_us_and_of_now(
    issuer: AccessTokens, keys: KeyPairs, clock: FixedClock
):
    user_id, session_id = uuid4(), uuid4()
    elsewhere = tokens(keys, clock, issuer="https://other.example.com")
    for_others = tokens(keys, clock, audience="other")
    for foreign in (elsewhere, for_others):
        token, _ = await foreign.issue(user_id, session_id)
        assert await refusal(issuer, token) == "access token not valid"
    ahead = FixedClock(clock.now() + timedelta(seconds=LEEWAY_SECONDS + 1))
    token, _ = await tokens(keys, ahead).issue(user_id, session_id)
    assert await refusal(issuer, token) == "access token not valid"
    clock.advance(seconds=1)
    assert (await issuer.verify(token)).session_id == session_id


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "sid", "exp", "iat", "jti"])
async def test_a_token_without_one_of_its_claims_is_refused(clock: FixedClock, missing: str):
    verifier = tokens(SharedSecret(SECRET), clock)
    token, _ = await verifier.issue(uuid4(), uuid4())
    header, claims, _ = parts(token)
    del claims[missing]
    key = OctKey.import_key(SECRET.encode())
    assert await refusal(verifier, signed(key, header, claims)) == "access token not valid"


async def test_a_shared_secret_signs_on_request_and_publishes_nothing(
    issuer: AccessTokens, clock: FixedClock
):
    shared = tokens(SharedSecret(SECRET), clock)
    token, _ = await shared.issue(uuid4(), uuid4())
    assert isinstance(await shared.verify(token), Claims)
    assert await shared.jwks() == {"keys": []}
    assert await refusal(issuer, token) == "access token not valid"
    eddsa, _ = await issuer.issue(uuid4(), uuid4())
    assert await refusal(shared, eddsa) == "access token not valid"
    stranger = tokens(SharedSecret(SECRET[::-1]), clock)
    assert await refusal(stranger, token) == "access token not valid"


async def test_processes_that_start_together_make_one_key(database: Database, clock: FixedClock):
    starting = [tokens(KeyPairs(database, VAULT, clock, LIFETIME), clock) for _ in range(5)]
    await asyncio.gather(*(process.start() for process in starting))
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(SigningKey)) == 1
    token, _ = await starting[0].issue(uuid4(), uuid4())
    for process in starting:
        await process.verify(token)


async def test_the_private_half_is_stored_sealed(issuer: AccessTokens, database: Database):
    async with database.read() as session:
        key = (await session.exec(select(SigningKey))).one()
    assert "d" not in key.public
    assert json.loads(VAULT.open(key.sealed, key.id.encode()))["x"] == key.public["x"]


async def test_a_rotated_key_verifies_until_its_last_token_has_ended(
    issuer: AccessTokens, database: Database, clock: FixedClock
):
    elsewhere = tokens(KeyPairs(database, VAULT, clock, LIFETIME), clock)
    await elsewhere.start()
    before, _ = await issuer.issue(uuid4(), uuid4())
    old_kid = parts(before)[0]["kid"]
    new_kid = await issuer.rotate()
    after, _ = await issuer.issue(uuid4(), uuid4())
    assert parts(after)[0]["kid"] == new_kid != old_kid
    clock.advance(seconds=59)
    late, _ = await elsewhere.issue(uuid4(), uuid4())  # it has not heard of the rotation yet
    assert parts(late)[0]["kid"] == old_kid
    assert {key["kid"] for key in (await issuer.jwks())["keys"]} == {old_kid, new_kid}
    assert isinstance(await elsewhere.verify(after), Claims)
    clock.advance(minutes=14, seconds=59)
    assert isinstance(await issuer.verify(late), Claims)
    newest, _ = await elsewhere.issue(uuid4(), uuid4())
    assert parts(newest)[0]["kid"] == new_kid
    clock.advance(minutes=2)
    assert [key["kid"] for key in (await issuer.jwks())["keys"]] == [new_kid]
    assert await refusal(issuer, late) == "access token not valid"


async def test_a_process_that_only_verifies_hears_of_a_rotation(
    issuer: AccessTokens, keys: KeyPairs, database: Database, clock: FixedClock
):
    listening = tokens(KeyPairs(database, VAULT, clock, LIFETIME), clock)
    await listening.start()
    thief = AccessTokens(
        keys,
        clock,
        RandomIds(),
        issuer="https://api.example.com",
        audience="penstock",
        lifetime=timedelta(days=1),
    )
    forged, _ = await thief.issue(uuid4(), uuid4())
    await issuer.rotate()
    assert isinstance(await listening.verify(forged), Claims)
    clock.advance(minutes=18)
    assert await refusal(listening, forged) == "access token not valid"


async def test_a_key_gives_way_by_itself_when_it_is_old(
    issuer: AccessTokens, keys: KeyPairs, clock: FixedClock
):
    first, _ = await issuer.issue(uuid4(), uuid4())
    clock.advance(days=89)
    again, _ = await issuer.issue(uuid4(), uuid4())
    clock.advance(days=1)
    processes = [issuer, issuer, issuer]
    issued = await asyncio.gather(*(one.issue(uuid4(), uuid4()) for one in processes))
    kids = [parts(token)[0]["kid"] for token in (first, again, *(new for new, _ in issued))]
    assert kids[0] == kids[1]
    assert kids[0] not in kids[2:]
    assert len(set(kids[2:])) == 1
    assert isinstance(await issuer.verify(issued[0].token), Claims)
    assert isinstance(await keys.of(kids[0]), OKPKey)


async def test_unknown_keys_are_looked_up_now_and_then_only(database_url: str, clock: FixedClock):
    async with CountedDatabase(database_url) as database:
        process = tokens(KeyPairs(database, VAULT, clock, LIFETIME), clock)
        await process.start()
        token, _ = await process.issue(uuid4(), uuid4())
        header, claims, signature = parts(token)
        clock.advance(seconds=ASK_AGAIN_AFTER.total_seconds())
        database.statements.clear()
        for number in range(50):
            unknown = f"{encoded({**header, 'kid': f'k{number}'})}.{encoded(claims)}.{signature}"
            await refusal(process, unknown)
        asked = [text for text in database.statements if "signing_keys" in text]
        assert len(asked) == 1


async def test_a_key_that_cannot_be_opened_gives_way_to_a_new_one(
    issuer: AccessTokens, database: Database, clock: FixedClock
):
    token, _ = await issuer.issue(uuid4(), uuid4())
    other_ring = KeyPairs(database, KeyVault([bytes(range(32))]), clock, LIFETIME)
    process = tokens(other_ring, clock)
    await process.start()
    assert isinstance(await process.verify(token), Claims)
    fresh, _ = await process.issue(uuid4(), uuid4())
    assert parts(fresh)[0]["kid"] != parts(token)[0]["kid"]
