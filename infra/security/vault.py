"""Secrets at rest: AES-256-GCM under a ring of keys, newest first.

A sealed blob is: version (1 byte), key id (8), nonce (12), ciphertext with tag. Version and key id are
authenticated with the caller's associated data, so no byte can be changed and no blob moved to another row.
"""

import base64
import binascii
import hashlib
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
KEY_FILE = "encryption.key"

_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12
_HEADER_BYTES = 1 + _ID_BYTES
_TAG_BYTES = 16


class KeyVault:
    """Seals with the first key, opens with whichever key sealed; implements `domain.connectors.Vault`."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take raw 32-byte keys, newest first; raises ValueError for none or for one of another length."""
        if not keys:
            raise ValueError("an encryption key is needed")
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"an encryption key must be {KEY_BYTES} bytes")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._newest = _key_id(keys[0])

    def __repr__(self) -> str:
        return f"KeyVault({len(self._ciphers)} keys)"

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """Encrypt with the newest key; `associated` must be given again to open."""
        header, nonce = _VERSION + self._newest, secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, plaintext, header + associated)
        return header + nonce + sealed

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """Decrypt with the key that sealed it; raises ValueError when it is missing or anything was changed."""
        if len(sealed) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise ValueError("not sealed by this service")
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        cipher = self._ciphers.get(header[1:])
        if cipher is None:
            raise ValueError("sealed with a key that is not in the ring")
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], header + associated)
        except InvalidTag:
            raise ValueError("changed since it was sealed, or of another row") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether the newest key sealed this."""
        return sealed[:_HEADER_BYTES] == _VERSION + self._newest

    def reseal(self, sealed: bytes, associated: bytes) -> bytes:
        """The same secret under the newest key (unchanged when it is already); raises ValueError as `open`."""
        if self.is_current(sealed):
            return sealed
        return self.seal(self.open(sealed, associated), associated)


def new_key() -> str:
    """A fresh key as `PENSTOCK_ENCRYPTION_KEYS` takes it: base64 of 32 random bytes."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_key(text: str) -> bytes:
    """A key from base64 (standard or URL-safe); raises ValueError that never quotes the text."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("an encryption key must be base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"an encryption key must be {KEY_BYTES} bytes of base64, not {len(key)}")
    return key


def key_file(directory: Path) -> bytes:
    """The key of a data directory, made on first use (mode 0600); raises PermissionError when others may read it."""
    path = directory / KEY_FILE
    if not path.exists():
        _make(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor) as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise PermissionError(
                f"{path} can be read by others (mode {mode:04o}): run chmod 600 {path}"
            )
        try:
            return read_key(file.read())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _make(path: Path) -> None:
    """Write a new key beside its place and link it in whole: a crash or a rival leaves one good file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(draft, flags, 0o600), "w") as file:
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        draft.unlink(missing_ok=True)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"penstock encryption key id" + key).digest()[:_ID_BYTES]
