"""Documents that clients name by hash: those an operator trusts, and those Apollo clients register themselves."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson
from graphql import GraphQLError, GraphQLSyntaxError, OperationDefinitionNode, parse
from loguru import logger

from infra.web.operations import Request, RequestRefused

SHA256: Final = "sha256:"
LOOK_SECONDS: Final = 1.0
REGISTERED: Final = 1_000
REGISTERED_CHARACTERS: Final = 8 * 1024 * 1024


class InvalidDocuments(Exception):
    """The file of trusted documents cannot be used; the text says why."""


def read_documents(path: Path) -> dict[str, str]:
    """Documents by hash, out of the file graphql-codegen's client preset writes; raises InvalidDocuments."""
    try:
        documents = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InvalidDocuments(f"{path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise InvalidDocuments(f"{path} is no JSON: {error}") from error
    if not isinstance(documents, dict):
        raise InvalidDocuments(f"{path} must hold a JSON object, hash to document")
    for name, text in documents.items():
        if not isinstance(text, str):
            raise InvalidDocuments(f"{path}: {name} is no document but {type(text).__name__}")
        try:
            parse(text, no_location=True)
        except GraphQLSyntaxError as error:
            raise InvalidDocuments(f"{path}: {name} does not parse: {error.message}") from error
    return documents


class TrustedDocuments:
    """The documents of one file, read again when it changes; while it is broken the last good ones hold."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._look_at = 0.0
        self._documents: dict[str, str] = {}
        self._texts: frozenset[str] = frozenset()
        self._stamp = self._seen()
        self._take(read_documents(path))

    def __len__(self) -> int:
        return len(self._texts)

    def find(self, name: str) -> str | None:
        """The document of a hash: the file's own, or the text's SHA-256, with `sha256:` before it or not."""
        self._look()
        return self._documents.get(name.removeprefix(SHA256))

    def has(self, text: str) -> bool:
        """Whether a document is in the file as it stands."""
        self._look()
        return text in self._texts

    def operation_names(self) -> frozenset[str]:
        """Names of all operations in the file."""
        return frozenset(
            definition.name.value
            for text in self._texts
            for definition in parse(text, no_location=True).definitions
            if isinstance(definition, OperationDefinitionNode) and definition.name
        )

    def _look(self) -> None:
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        stamp = self._seen()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._take(read_documents(self._path))
        except InvalidDocuments as problem:
            logger.warning("Trusted documents are left as they were: {}", problem)
        else:
            logger.info("Trusted documents read again: {}", len(self))

    def _seen(self) -> tuple[int, ...] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)

    def _take(self, documents: Mapping[str, str]) -> None:
        hashed = {sha256(text.encode()).hexdigest(): text for text in documents.values()}
        named = {name.removeprefix(SHA256): text for name, text in documents.items()}
        self._documents = {**hashed, **named}
        self._texts = frozenset(documents.values())


class PersistedDocuments:
    """Finds the document that a request names instead of sending it."""

    def __init__(self, trusted: TrustedDocuments | None = None, only_trusted: bool = False) -> None:
        self._trusted = trusted
        self._only_trusted = only_trusted
        self._registered: OrderedDict[str, str] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._registered)

    def resolve(self, request: Request) -> Request:
        """The request with its document; raises RequestRefused when there is none, or none to be trusted."""
        query = self._document(request)
        if self._only_trusted and (self._trusted is None or not self._trusted.has(query)):
            raise _refused("Only trusted documents are served here", "DOCUMENT_NOT_TRUSTED")
        return request if query is request.query else replace(request, query=query)

    def _document(self, request: Request) -> str:
        hash_ = _hash(request)
        if request.document_id is not None:
            if request.query:
                raise _refused("Send `query` or `documentId`, not both", "BAD_USER_INPUT")
            found = self._find(request.document_id)
            if found is None:
                raise _refused("No document has this id", "PERSISTED_DOCUMENT_NOT_FOUND")
            return found
        if hash_ is None:
            if not request.query:
                raise _refused("The document is empty", "BAD_USER_INPUT")
            return request.query
        if not request.query:
            found = self._find(hash_)
            if found is not None:
                return found
            if self._only_trusted:
                raise _refused("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
            raise _refused("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
        if sha256(request.query.encode()).hexdigest() != hash_:
            raise _refused("provided sha does not match query", "BAD_USER_INPUT")
        if not self._only_trusted:
            self._register(hash_, request.query)
        return request.query

    def _find(self, name: str) -> str | None:
        found = None if self._trusted is None else self._trusted.find(name)
        if found is None and (found := self._registered.get(name.removeprefix(SHA256))):
            self._registered.move_to_end(name.removeprefix(SHA256))
        return found

    def _register(self, hash_: str, query: str) -> None:
        if hash_ in self._registered or len(query) > REGISTERED_CHARACTERS // 10:
            return
        self._registered[hash_] = query
        self._characters += len(query)
        while len(self._registered) > REGISTERED or self._characters > REGISTERED_CHARACTERS:
            _, dropped = self._registered.popitem(last=False)
            self._characters -= len(dropped)


def _hash(request: Request) -> str | None:
    """The hash of Apollo's `extensions.persistedQuery`; None when the request has none."""
    persisted: Any = (request.extensions or {}).get("persistedQuery")
    if persisted is None:
        return None
    hash_ = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(hash_, str) or persisted.get("version", 1) != 1:
        raise _refused(
            "`extensions.persistedQuery` must have `version` 1 and `sha256Hash`", "BAD_USER_INPUT"
        )
    return hash_


def _refused(message: str, code: str) -> RequestRefused:
    return RequestRefused([GraphQLError(message, extensions={"code": code})])
