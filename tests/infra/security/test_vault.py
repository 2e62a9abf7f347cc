import secrets
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from infra.security.vault import KeyVault, key_id, key_named

KEY, OTHER = secrets.token_bytes(32), secrets.token_bytes(32)
ROW = uuid4().bytes


def sealed_whole(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """A blob of version 1, as earlier releases wrote it."""
    header, nonce = b"\x01" + key_id(key), secrets.token_bytes(12)
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + associated)


@given(plaintext=st.binary(max_size=500), associated=st.binary(max_size=40))
def test_what_was_sealed_opens_again(plaintext, associated):
    vault = KeyVault([KEY])
    sealed = vault.seal(plaintext, associated)
    assert vault.open(sealed, associated) == plaintext
    assert len(plaintext) < 4 or plaintext not in sealed


@given(data=st.data(), plaintext=st.binary(max_size=60), whole=st.booleans())
def test_no_byte_can_be_changed_and_no_end_cut(data, plaintext, whole):
    vault = KeyVault([KEY, OTHER])
    sealed = sealed_whole(KEY, plaintext, ROW) if whole else vault.seal(plaintext, ROW)
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[at] ^= data.draw(st.integers(1, 255))
    for broken in (bytes(changed), sealed[:at], sealed + b"\0"):
        with pytest.raises(ValueError, match="sealed"):
            vault.open(broken, ROW)


@given(data=st.data(), plaintext=st.binary(max_size=60))
def test_a_changed_blob_never_opens_after_a_rotation_either(data, plaintext):
    changed = bytearray(KeyVault([OTHER]).seal(plaintext, ROW))
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    ring = KeyVault([KEY, OTHER])
    with pytest.raises(ValueError, match="sealed"):
        ring.open(ring.reseal(bytes(changed), ROW), ROW)


@given(plaintext=st.binary(max_size=60))
def test_another_rows_blob_neither_opens_nor_is_sealed_anew(plaintext):
    ring = KeyVault([KEY, OTHER])
    for sealed in (KeyVault([OTHER]).seal(plaintext, ROW), sealed_whole(OTHER, plaintext, ROW)):
        with pytest.raises(ValueError, match="another row"):
            ring.open(sealed, uuid4().bytes)
        with pytest.raises(ValueError, match="another row"):
            ring.reseal(sealed, uuid4().bytes)


def test_no_part_of_one_envelope_fits_another_of_the_same_row():
    vault = KeyVault([KEY])
    one, two = vault.seal(b"the old secret", ROW), vault.seal(b"the new secret", ROW)
    with pytest.raises(ValueError, match="changed"):
        vault.open(one[:69] + two[69:], ROW)


def test_the_same_secret_never_seals_the_same_twice():
    vault = KeyVault([KEY])
    assert vault.seal(b"secret", ROW) != vault.seal(b"secret", ROW)


@given(
    plaintext=st.binary(max_size=60),
    keys=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=5, unique=True),
    data=st.data(),
)
def test_through_any_rotations_a_secret_stays_and_is_under_the_newest_key(plaintext, keys, data):
    whole = data.draw(st.booleans())
    first = keys[0]
    sealed = (
        sealed_whole(first, plaintext, ROW) if whole else KeyVault([first]).seal(plaintext, ROW)
    )
    for count in range(1, len(keys) + 1):
        ring = KeyVault(keys[:count][::-1])
        assert ring.open(sealed, ROW) == plaintext
        if data.draw(st.booleans()):
            continue
        sealed = ring.reseal(sealed, ROW)
        assert ring.is_current(sealed)
        assert ring.reseal(sealed, ROW) == sealed
        assert key_named(sealed) == ring.key_ids[0] == key_id(keys[count - 1]).hex()
        assert KeyVault([keys[count - 1]]).open(sealed, ROW) == plaintext
        for older in keys[: count - 1]:
            with pytest.raises(ValueError, match="not in the ring"):
                KeyVault([older]).open(sealed, ROW)


def test_a_rotation_wraps_the_data_key_alone():
    sealed = KeyVault([OTHER]).seal(b"secret" * 100, ROW)
    fresh = KeyVault([KEY, OTHER]).reseal(sealed, ROW)
    assert fresh[:69] != sealed[:69]
    assert fresh[69:] == sealed[69:]


def test_what_earlier_releases_sealed_opens_and_becomes_an_envelope():
    vault = KeyVault([KEY])
    old = sealed_whole(KEY, b"secret", ROW)
    assert vault.open(old, ROW) == b"secret"
    assert key_named(old) == key_id(KEY).hex()
    assert not vault.is_current(old)
    assert vault.open(vault.reseal(old, ROW), ROW) == b"secret"
    assert vault.is_current(vault.reseal(old, ROW))


def test_a_ring_that_grows_while_the_process_runs_is_used_at_once():
    ring = [(OTHER,)]
    vault = KeyVault(lambda: ring[-1])
    ring.append((KEY, OTHER))
    assert vault.open(KeyVault([KEY]).seal(b"secret", ROW), ROW) == b"secret"
    assert key_named(vault.seal(b"secret", ROW)) == key_id(KEY).hex()


def test_what_is_no_blob_names_no_key():
    for text in (b"", b"\x01", b"\x03" + bytes(80), b"plain text"):
        assert key_named(text) is None


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b""]])
def test_a_ring_needs_whole_keys(keys):
    with pytest.raises(ValueError, match="encryption key"):
        KeyVault(keys)


def test_a_vault_shows_no_key():
    vault = KeyVault([KEY])
    for form in (repr(KEY), KEY.hex()):
        assert form not in repr(vault)
