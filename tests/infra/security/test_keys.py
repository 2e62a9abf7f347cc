import base64
import os
import secrets
import threading
from pathlib import Path
from uuid import uuid4

import pytest

from infra.security.keys import KeyFile, new_key, read_key
from infra.security.vault import KeyVault

KEY, OTHER = secrets.token_bytes(32), secrets.token_bytes(32)
ROW = uuid4().bytes


def test_keys_are_read_from_either_base64_and_never_quoted():
    assert read_key(base64.urlsafe_b64encode(KEY).decode()) == KEY
    assert read_key(base64.b64encode(KEY).decode() + "\n") == KEY
    assert len(read_key(new_key())) == 32
    for bad in ("hunter2-hunter2!", base64.b64encode(b"hunter2").decode()):
        with pytest.raises(ValueError, match="encryption key") as raised:
            read_key(bad)
        assert bad not in str(raised.value)


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path):
    old_mask = os.umask(0)
    try:
        keys = KeyFile(tmp_path)()
    finally:
        os.umask(old_mask)
    assert len(keys) == 1
    assert KeyFile(tmp_path)() == keys
    assert [path.name for path in tmp_path.iterdir()] == ["encryption.key"]
    assert (tmp_path / "encryption.key").stat().st_mode & 0o777 == 0o600


def test_a_rival_process_that_was_first_wins(tmp_path: Path, monkeypatch):
    link = os.link

    def late(source, target):
        target.write_text(base64.b64encode(OTHER).decode())
        target.chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert KeyFile(tmp_path)() == (OTHER,)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode):
    KeyFile(tmp_path)
    (tmp_path / "encryption.key").chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        KeyFile(tmp_path)


@pytest.mark.parametrize("text", ["nonsense!", "", "\n\n"])
def test_a_broken_key_file_says_which_file(tmp_path: Path, text):
    (tmp_path / "encryption.key").write_text(text)
    (tmp_path / "encryption.key").chmod(0o600)
    with pytest.raises(ValueError, match=r"encryption\.key"):
        KeyFile(tmp_path)


def test_a_key_added_by_another_process_is_used_by_those_that_run(tmp_path: Path):
    running, operator = KeyFile(tmp_path), KeyFile(tmp_path)
    vault = KeyVault(running)
    before = vault.seal(b"before", ROW)
    operator.add()
    assert len(operator()) == 2
    assert vault.open(KeyVault([operator()[0]]).seal(b"after", ROW), ROW) == b"after"
    assert KeyVault([operator()[0]]).open(vault.seal(b"since", ROW), ROW) == b"since"
    assert vault.open(before, ROW) == b"before"
    assert vault.key_ids == KeyVault(operator).key_ids


def test_operators_who_add_keys_at_once_lose_none(tmp_path: Path):
    KeyFile(tmp_path)
    threads = [threading.Thread(target=KeyFile(tmp_path).add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(KeyFile(tmp_path)())) == 9
    assert [path.name for path in tmp_path.iterdir()] == ["encryption.key"]
    assert (tmp_path / "encryption.key").stat().st_mode & 0o777 == 0o600


def test_a_key_file_spoilt_or_gone_while_a_process_runs_does_not_stop_it(tmp_path: Path):
    file = KeyFile(tmp_path)
    keys = file()
    file.path.write_text("nonsense!")
    assert file() == keys
    file.path.unlink()
    assert file() == keys
