"""Secrets at rest: envelopes of AES-256-GCM under a ring of keys, newest first.

Every sealed blob has a data key of its own, which alone is encrypted with a key of the ring: a change of keys wraps
that data key anew and leaves the secret as it is. The format, version 2:

    version (1 byte) | key id (8) | nonce (12), wrapped data key with tag (48) | nonce (12), ciphertext with tag

Version, key id and the caller's associated data are authenticated with the data key, version and associated data with
the ciphertext, so no byte can be changed and no blob moved to another row. Blobs of version 1, whose ciphertext follows
the key id at once, still open; they are never written any more.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32

_WHOLE = b"\x01"
_ENVELOPE = b"\x02"
_ID_BYTES = 8
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER_BYTES = 1 + _ID_BYTES
_BOX_BYTES = _NONCE_BYTES + _TAG_BYTES
_BODY_AT = _HEADER_BYTES + _BOX_BYTES + KEY_BYTES

Ring = Callable[[], Sequence[bytes]]


@dataclass(frozen=True, slots=True, repr=False)
class _Keys:
    newest: bytes
    ciphers: dict[bytes, AESGCM]


class KeyVault:
    """Seals with the first key, opens with whichever key sealed; implements `domain.ports.Vault`."""

    def __init__(self, keys: Sequence[bytes] | Ring) -> None:
        """Take raw 32-byte keys, newest first, or what tells them at any time (see `KeyFile`).

        Raises ValueError for no key or one of another length.
        """
        self._ring: Ring = keys if callable(keys) else lambda: keys
        self._known: Sequence[bytes] = ()
        self._keys = _Keys(b"", {})
        self._present()

    def __repr__(self) -> str:
        return f"KeyVault({len(self._keys.ciphers)} keys)"

    @property
    def key_ids(self) -> list[str]:
        """The ids of the ring's keys as hexadecimal text, newest first."""
        return [id.hex() for id in self._present().ciphers]

    @property
    def header(self) -> bytes:
        """What every blob sealed now begins with."""
        return _ENVELOPE + self._present().newest

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """Encrypt with a fresh data key under the newest key; `associated` must be given again to open."""
        data_key = secrets.token_bytes(KEY_BYTES)
        body = _box(AESGCM(data_key), plaintext, _ENVELOPE + associated)
        return self._wrapped(data_key, associated) + body

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """Decrypt with the key that sealed it; raises ValueError when it is missing or anything was changed."""
        if sealed[:1] == _WHOLE and len(sealed) >= _HEADER_BYTES + _BOX_BYTES:
            header = sealed[:_HEADER_BYTES]
            return _unbox(self._cipher(header), sealed[_HEADER_BYTES:], header + associated)
        data_key = self._data_key(sealed, associated)
        return _unbox(AESGCM(data_key), sealed[_BODY_AT:], _ENVELOPE + associated)

    def is_current(self, sealed: bytes) -> bool:
        """Whether this is an envelope under the newest key."""
        return sealed[:_HEADER_BYTES] == self.header

    def reseal(self, sealed: bytes, associated: bytes) -> bytes:
        """The same secret under the newest key (unchanged when it is already); raises ValueError as `open`.

        Of an envelope only the data key is sealed anew; the secret itself is not decrypted.
        """
        if self.is_current(sealed):
            return sealed
        if sealed[:1] == _WHOLE:
            return self.seal(self.open(sealed, associated), associated)
        return self._wrapped(self._data_key(sealed, associated), associated) + sealed[_BODY_AT:]

    def _wrapped(self, data_key: bytes, associated: bytes) -> bytes:
        keys = self._present()
        header = _ENVELOPE + keys.newest
        return header + _box(keys.ciphers[keys.newest], data_key, header + associated)

    def _data_key(self, sealed: bytes, associated: bytes) -> bytes:
        if sealed[:1] != _ENVELOPE or len(sealed) < _BODY_AT + _BOX_BYTES:
            raise ValueError("not sealed by this service")
        header = sealed[:_HEADER_BYTES]
        return _unbox(self._cipher(header), sealed[_HEADER_BYTES:_BODY_AT], header + associated)

    def _cipher(self, header: bytes) -> AESGCM:
        cipher = self._keys.ciphers.get(header[1:]) or self._present().ciphers.get(header[1:])
        if cipher is None:
            raise ValueError("sealed with a key that is not in the ring")
        return cipher

    def _present(self) -> _Keys:
        """The ring as it is now: keys may have been added since this process started."""
        keys = self._ring()
        if keys is not self._known:
            if not keys:
                raise ValueError("an encryption key is needed")
            if any(len(key) != KEY_BYTES for key in keys):
                raise ValueError(f"an encryption key must be {KEY_BYTES} bytes")
            self._keys = _Keys(key_id(keys[0]), {key_id(key): AESGCM(key) for key in keys})
            self._known = keys
        return self._keys


def key_id(key: bytes) -> bytes:
    """What names a key in blobs; it tells nothing of the key."""
    return hashlib.sha256(b"penstock encryption key id" + key).digest()[:_ID_BYTES]


def key_named(head: bytes) -> str | None:
    """The id, as hexadecimal text, of the key that a blob's first nine bytes name; None for what is no blob."""
    if head[:1] not in (_WHOLE, _ENVELOPE) or len(head) < _HEADER_BYTES:
        return None
    return head[1:_HEADER_BYTES].hex()


def is_envelope(head: bytes) -> bool:
    """Whether a blob that begins so has a data key of its own."""
    return head[:1] == _ENVELOPE


def _box(cipher: AESGCM, plaintext: bytes, associated: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plaintext, associated)


def _unbox(cipher: AESGCM, box: bytes, associated: bytes) -> bytes:
    try:
        return cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], associated)
    except InvalidTag:
        raise ValueError("changed since it was sealed, or of another row") from None
