"""Documents that are named by hash: trusted ones out of a file, and those that clients register."""

from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

import orjson
import pytest

from infra.web import trusted as module
from infra.web.operations import Request, RequestRefused
from infra.web.trusted import InvalidDocuments, PersistedDocuments, TrustedDocuments, read_documents

QUERY = "query Named { __typename }"
SHA1, SHA256 = sha1(QUERY.encode()).hexdigest(), sha256(QUERY.encode()).hexdigest()


def file(directory: Path, documents: Any) -> Path:
    path = directory / "persisted-documents.json"
    path.write_bytes(documents if isinstance(documents, bytes) else orjson.dumps(documents))
    return path


def apollo(hash_: Any, query: str = "", version: Any = 1) -> Request:
    return Request(query, extensions={"persistedQuery": {"version": version, "sha256Hash": hash_}})


def refusal(persisted: PersistedDocuments, request: Request) -> Any:
    with pytest.raises(RequestRefused) as caught:
        persisted.resolve(request)
    (error,) = caught.value.errors
    assert error.extensions
    return error.extensions["code"]


@pytest.mark.parametrize("id", [SHA1, f"sha256:{SHA1}", SHA256, f"sha256:{SHA256}"])
def test_a_trusted_document_is_found_by_the_files_hash_and_by_its_sha256(
    tmp_path: Path, id: str
) -> None:
    persisted = PersistedDocuments(TrustedDocuments(file(tmp_path, {SHA1: QUERY})))
    request = Request("", "Named", {"a": 1}, None, id)
    assert persisted.resolve(request) == Request(QUERY, "Named", {"a": 1}, None, id)
    assert persisted.resolve(apollo(id)).query == QUERY


def test_an_id_nobody_knows_is_not_found(tmp_path: Path) -> None:
    persisted = PersistedDocuments(TrustedDocuments(file(tmp_path, {SHA1: QUERY})))
    assert refusal(persisted, Request("", document_id="x")) == "PERSISTED_DOCUMENT_NOT_FOUND"
    assert refusal(persisted, Request(QUERY, document_id=SHA1)) == "BAD_USER_INPUT"


def test_only_trusted_documents_are_served_where_that_is_wanted(tmp_path: Path) -> None:
    persisted = PersistedDocuments(TrustedDocuments(file(tmp_path, {SHA1: QUERY})), True)
    other = "{ __typename }"
    hash_ = sha256(other.encode()).hexdigest()
    assert persisted.resolve(Request(QUERY)).query == QUERY
    assert persisted.resolve(apollo(SHA256)).query == QUERY
    assert refusal(persisted, Request(other)) == "DOCUMENT_NOT_TRUSTED"
    assert refusal(persisted, apollo(hash_)) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert refusal(persisted, apollo(hash_, other)) == "DOCUMENT_NOT_TRUSTED"
    assert len(persisted) == 0


def test_a_file_that_changes_is_read_again_and_a_broken_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0)
    path = file(tmp_path, {SHA1: QUERY})
    trusted = TrustedDocuments(path)
    file(tmp_path, {"b": "{ b: __typename }"})
    assert trusted.find("b") == "{ b: __typename }"
    assert trusted.find(SHA1) is None
    file(tmp_path, b"{ broken")
    assert trusted.has("{ b: __typename }")
    path.unlink()
    assert trusted.has("{ b: __typename }")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "no JSON"),
        (b"[]", "object"),
        ({"a": 7}, "a is no document"),
        ({"a": "{"}, "a does not parse"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(InvalidDocuments, match=says):
        read_documents(file(tmp_path, content))
    with pytest.raises(InvalidDocuments, match="cannot be read"):
        read_documents(tmp_path / "nowhere.json")


def test_apollo_clients_register_a_document_by_its_hash() -> None:
    persisted = PersistedDocuments()
    assert refusal(persisted, apollo(SHA256)) == "PERSISTED_QUERY_NOT_FOUND"
    assert persisted.resolve(apollo(SHA256, QUERY)).query == QUERY
    assert persisted.resolve(apollo(SHA256)).query == QUERY


@pytest.mark.parametrize(
    "request_",
    [
        apollo("0" * 64, QUERY),
        apollo(7),
        apollo(SHA256, version=2),
        Request("", extensions={"persistedQuery": "x"}),
        Request(""),
    ],
)
def test_a_hash_that_is_none_registers_nothing(request_: Request) -> None:
    persisted = PersistedDocuments()
    assert refusal(persisted, request_) == "BAD_USER_INPUT"
    assert len(persisted) == 0


def test_registered_documents_are_bounded_and_the_least_used_give_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REGISTERED", 3)
    persisted = PersistedDocuments()
    queries = [f"{{ a{number}: __typename }}" for number in range(4)]
    hashes = [sha256(query.encode()).hexdigest() for query in queries]
    for hash_, query in zip(hashes[:3], queries, strict=False):
        persisted.resolve(apollo(hash_, query))
    persisted.resolve(apollo(hashes[0]))
    persisted.resolve(apollo(hashes[3], queries[3]))
    assert len(persisted) == 3
    assert persisted.resolve(apollo(hashes[0])).query == queries[0]
    assert refusal(persisted, apollo(hashes[1])) == "PERSISTED_QUERY_NOT_FOUND"


def test_names_of_trusted_operations_are_known(tmp_path: Path) -> None:
    text = "query A { __typename } mutation B { __typename } fragment C on Query { __typename }"
    trusted = TrustedDocuments(file(tmp_path, {"a": text, "b": "{ __typename }"}))
    assert trusted.operation_names() == {"A", "B"}
