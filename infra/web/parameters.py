"""The parameters of a GraphQL request, out of a URL or a body; every refusal names what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive

from infra.web.operations import Request

JSON_TYPE: Final = "application/json"
UTF8: Final = frozenset({"utf-8", "utf8", ""})

_KINDS: Final = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
}


@dataclass(slots=True)
class Refusal(Exception):
    """A request that is none for GraphQL, with the HTTP status that says so."""

    status: int
    message: str
    code: str = "BAD_USER_INPUT"
    allow: str | None = None


def check_content_type(headers: Headers) -> None:
    """Refuse every body but JSON: other types reach a server from any page, without a preflight (CSRF)."""
    media, *parameters = (
        part.strip() for part in headers.get("content-type", "").lower().split(";")
    )
    if media != JSON_TYPE:
        raise Refusal(
            415, f"Send the request as Content-Type: {JSON_TYPE}, not {media or 'without'}"
        )
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in UTF8:
            raise Refusal(415, f"Send the request in UTF-8, not {value}")
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise Refusal(415, f"Send the request uncompressed, not as {encoding}")


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The body, of at most `limit` bytes; ConnectionError when the client leaves before its end."""
    refusal = Refusal(413, f"The request is larger than {limit} bytes")
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise refusal
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("The client left")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise refusal
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def from_body(body: bytes) -> Request:
    """A request out of a JSON body."""
    if not body.strip():
        raise Refusal(400, "The request has no body; send a JSON object with `query`")
    try:
        parameters = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"The body is no JSON: {error}") from error
    if isinstance(parameters, list):
        raise Refusal(422, "Batches are not supported; send one operation a request")
    if not isinstance(parameters, dict):
        raise Refusal(422, f"The body must be a JSON object, not {_kind(parameters)}")
    return _request(parameters)


def from_url(query_string: bytes) -> Request:
    """A request out of a URL's query; `variables` and `extensions` are JSON texts."""
    try:
        text = query_string.decode("ascii")
        given = dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100))
    except ValueError as error:
        raise Refusal(400, "The URL's query cannot be read as UTF-8 form fields") from error
    parameters: dict[str, Any] = {}
    for name in ("query", "operationName"):
        if given.get(name):
            parameters[name] = given[name]
    for name in ("variables", "extensions"):
        if given.get(name):
            try:
                parameters[name] = orjson.loads(given[name])
            except orjson.JSONDecodeError as error:
                raise Refusal(400, f"`{name}` is no JSON: {error}") from error
    return _request(parameters)


def _request(parameters: Mapping[str, Any]) -> Request:
    for name in ("variables", "extensions"):
        if not isinstance(parameters.get(name), dict | None):
            raise Refusal(422, f"`{name}` must be an object, not {_kind(parameters[name])}")
    query, operation_name = parameters.get("query"), parameters.get("operationName")
    extensions = parameters.get("extensions")
    if query is None and extensions and "persistedQuery" in extensions:
        # Clients know this message and send the document instead.
        raise Refusal(422, "PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")
    if query is None:
        raise Refusal(422, "`query` is missing; it takes the document, as a string")
    if not isinstance(query, str):
        raise Refusal(422, f"`query` must be a string, not {_kind(query)}")
    if not isinstance(operation_name, str | None):
        raise Refusal(422, f"`operationName` must be a string, not {_kind(operation_name)}")
    return Request(query, operation_name or None, parameters.get("variables"), extensions)


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "an object")
