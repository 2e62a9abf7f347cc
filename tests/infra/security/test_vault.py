import base64
import os
import secrets
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.security.vault import KeyVault, key_file, new_key, read_key

KEY, OTHER = secrets.token_bytes(32), secrets.token_bytes(32)
ROW = uuid4().bytes


@given(plaintext=st.binary(max_size=500), associated=st.binary(max_size=40))
def test_what_was_sealed_opens_again(plaintext, associated):
    vault = KeyVault([KEY])
    sealed = vault.seal(plaintext, associated)
    assert vault.open(sealed, associated) == plaintext
    assert len(plaintext) < 4 or plaintext not in sealed


@given(data=st.data(), plaintext=st.binary(max_size=60))
def test_no_byte_can_be_changed_and_no_end_cut(data, plaintext):
    vault = KeyVault([KEY, OTHER])
    sealed = bytearray(vault.seal(plaintext, ROW))
    at = data.draw(st.integers(0, len(sealed) - 1))
    whole = bytes(sealed)
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="sealed"):
        vault.open(bytes(sealed), ROW)
    with pytest.raises(ValueError, match="sealed"):
        vault.open(whole[:at], ROW)


def test_another_rows_blob_does_not_open():
    vault = KeyVault([KEY])
    with pytest.raises(ValueError, match="another row"):
        vault.open(vault.seal(b"secret", ROW), uuid4().bytes)


def test_the_same_secret_never_seals_the_same_twice():
    vault = KeyVault([KEY])
    assert vault.seal(b"secret", ROW) != vault.seal(b"secret", ROW)


def test_an_old_key_of_the_ring_still_opens_and_reseals_under_the_newest():
    old, ring, new = KeyVault([OTHER]), KeyVault([KEY, OTHER]), KeyVault([KEY])
    sealed = old.seal(b"secret", ROW)
    assert ring.open(sealed, ROW) == b"secret"
    with pytest.raises(ValueError, match="not in the ring"):
        new.open(sealed, ROW)
    fresh = ring.reseal(sealed, ROW)
    assert new.open(fresh, ROW) == b"secret"
    assert ring.reseal(fresh, ROW) == fresh


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b""]])
def test_a_ring_needs_whole_keys(keys):
    with pytest.raises(ValueError, match="encryption key"):
        KeyVault(keys)


def test_keys_are_read_from_either_base64_and_never_quoted():
    assert read_key(base64.urlsafe_b64encode(KEY).decode()) == KEY
    assert read_key(base64.b64encode(KEY).decode() + "\n") == KEY
    assert len(read_key(new_key())) == 32
    for bad in ("hunter2-hunter2!", base64.b64encode(b"hunter2").decode()):
        with pytest.raises(ValueError, match="encryption key") as raised:
            read_key(bad)
        assert bad not in str(raised.value)
    assert repr(KEY) not in repr(KeyVault([KEY]))


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path):
    old_mask = os.umask(0)
    try:
        key = key_file(tmp_path)
    finally:
        os.umask(old_mask)
    assert key_file(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["encryption.key"]
    assert (tmp_path / "encryption.key").stat().st_mode & 0o777 == 0o600


def test_a_rival_process_that_was_first_wins(tmp_path: Path, monkeypatch):
    link = os.link

    def late(source, target):
        target.write_text(base64.b64encode(OTHER).decode())
        target.chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert key_file(tmp_path) == OTHER


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode):
    key_file(tmp_path)
    (tmp_path / "encryption.key").chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        key_file(tmp_path)


def test_a_broken_key_file_says_which_file(tmp_path: Path):
    (tmp_path / "encryption.key").write_text("nonsense!")
    (tmp_path / "encryption.key").chmod(0o600)
    with pytest.raises(ValueError, match=r"encryption\.key"):
        key_file(tmp_path)
