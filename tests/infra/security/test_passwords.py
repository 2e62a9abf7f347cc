import asyncio
import base64
import hashlib
import threading

import bcrypt
import pytest

from infra.security.common_passwords import CommonPasswords
from infra.security.passwords import Argon2Cost, PasswordHashes

PASSWORD = "correct horse battery"
CHEAP = Argon2Cost(memory_kib=8, rounds=1)


def adapted(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=").replace("+", ".")


def pbkdf2(rounds: int, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, rounds)


OLD = {
    "django": f"pbkdf2_sha256$1200$seasalt${base64.b64encode(pbkdf2(1200, b'seasalt')).decode()}",
    "passlib": f"$pbkdf2-sha256$1200${adapted(bytes(range(16)))}${adapted(pbkdf2(1200, bytes(range(16))))}",
    "bcrypt 2a": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, b"2a")).decode(),
    "bcrypt 2b": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, b"2b")).decode(),
    "bcrypt 2y": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4, b"2b"))
    .decode()
    .replace("$2b$", "$2y$"),
}
# From passlib's own documentation and tests: the password is `password`.
DOCUMENTED = (
    "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44",
    "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ",
)


@pytest.fixture
def hashes() -> PasswordHashes:
    return PasswordHashes(CHEAP, threads=2)


async def test_a_hash_is_argon2id_at_the_recommended_cost_with_a_salt_of_its_own():
    hashes = PasswordHashes()
    first, second = await hashes.hash(PASSWORD), await hashes.hash(PASSWORD)
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert await hashes.verify(PASSWORD, first) == (True, None)
    assert await hashes.verify(PASSWORD + " ", first) == (False, None)


@pytest.mark.parametrize("kind", OLD)
async def test_hashes_of_older_systems_verify_and_give_way(hashes: PasswordHashes, kind: str):
    good, better = await hashes.verify(PASSWORD, OLD[kind])
    assert good
    assert better is not None
    assert better.startswith("$argon2id$")
    assert await hashes.verify(PASSWORD, better) == (True, None)
    assert await hashes.verify("another password", OLD[kind]) == (False, None)


@pytest.mark.parametrize("documented", DOCUMENTED)
async def test_a_hash_made_by_passlib_verifies(hashes: PasswordHashes, documented: str):
    assert (await hashes.verify("password", documented))[0]
    assert not (await hashes.verify("Password", documented))[0]


async def test_bcrypt_counts_72_bytes_as_older_libraries_did(hashes: PasswordHashes):
    long = "p" * 80
    old = bcrypt.hashpw(long[:72].encode(), bcrypt.gensalt(4)).decode()
    assert (await hashes.verify(long, old))[0]


async def test_a_cheaper_argon2_hash_gives_way_to_a_dearer_one(hashes: PasswordHashes):
    cheap = await hashes.hash(PASSWORD)
    good, better = await PasswordHashes(Argon2Cost(memory_kib=16, rounds=1)).verify(PASSWORD, cheap)
    assert good
    assert better is not None
    assert "m=16," in better


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "!",
        "plain text",
        "pbkdf2_sha256$x$y$z",
        "$pbkdf2-sha256$10$!$!",
        "$2b$12$short",
        "\x00",
        "pbkdf2_sha256$1$s$" + "A" * 5,
        "$argon2id$v=19$m=8,t=1,p=1$broken",
    ],
)
async def test_a_broken_hash_opens_to_nothing(hashes: PasswordHashes, broken: str):
    assert await hashes.verify(PASSWORD, broken) == (False, None)
    assert await hashes.verify("", broken) == (False, None)


@pytest.mark.parametrize("nobodys", [None, "a hash of an unknown kind"])
async def test_nobodys_password_is_work_all_the_same(
    hashes: PasswordHashes, nobodys: str | None, monkeypatch: pytest.MonkeyPatch
):
    worked: list[str] = []
    original = hashes._hashes.verify

    def noting(password: str | bytes, hash: str | bytes) -> bool:
        worked.append(str(hash))
        return original(password, hash)

    monkeypatch.setattr(hashes._hashes, "verify", noting)
    assert await hashes.verify(PASSWORD, nobodys) == (False, None)
    cost = (await hashes.hash(PASSWORD)).rsplit("$", 2)[0]
    assert [hash.rsplit("$", 2)[0] for hash in worked] == [cost]


async def test_hashing_keeps_to_its_threads_and_off_the_event_loop(hashes: PasswordHashes):
    seen: set[str] = set()
    original = hashes._hashes.hash

    def noting(password: str | bytes, *, salt: bytes | None = None) -> str:
        seen.add(threading.current_thread().name)
        return original(password, salt=salt)

    hashes._hashes.hash = noting  # type: ignore[method-assign]
    await asyncio.gather(*(hashes.hash(PASSWORD) for _ in range(20)))
    assert 1 <= len(seen) <= 2
    assert threading.main_thread().name not in seen


def test_common_passwords_are_known():
    common = CommonPasswords()
    assert "password123" in common
    assert "1234567890" in common
    assert PASSWORD not in common
    assert len(common._all) > 10_000
    assert all(len(password) >= 10 and password == password.lower() for password in common._all)
