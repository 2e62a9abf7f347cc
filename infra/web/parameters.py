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
SIMPLE_TYPES: Final = frozenset(
    {"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
)
PREFLIGHTED: Final = (
    "x-penstock-preflight",
    "authorization",
    "x-penstock-workspace",
    "apollo-require-preflight",
    "x-apollo-operation-name",
)
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
    if media.startswith("multipart/"):
        raise Refusal(415, f"Multipart requests are not served; send Content-Type: {JSON_TYPE}")
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


def check_preflight(headers: Headers) -> None:
    """Refuse a GET that any page can send: browsers ask a server before these headers, and not before others (CSRF)."""
    media = headers.get("content-type", "").lower().partition(";")[0].strip()
    if media in SIMPLE_TYPES and not any(name in headers for name in PREFLIGHTED):
        raise Refusal(
            400,
            "Requests by GET need a header that pages elsewhere cannot send: `X-Penstock-Preflight: 1`, "
            f"`Authorization`, or `Content-Type: {JSON_TYPE}`",
            "CSRF_PREVENTED",
        )


def from_body(body: bytes, batch_limit: int = 1) -> Request | list[Request]:
    """A request out of a JSON body, or those of a batch."""
    if not body.strip():
        raise Refusal(400, "The request has no body; send a JSON object with `query`")
    try:
        parameters = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"The body is no JSON: {error}") from error
    if isinstance(parameters, list):
        if not parameters:
            raise Refusal(422, "The batch is empty")
        if len(parameters) > batch_limit:
            raise Refusal(422, f"A batch has at most {batch_limit} operations", "BATCH_TOO_LARGE")
        return [_request(_object(one)) for one in parameters]
    return _request(_object(parameters))


def from_url(query_string: bytes) -> Request:
    """A request out of a URL's query; `variables` and `extensions` are JSON texts."""
    try:
        text = query_string.decode("ascii")
        given = dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100))
    except ValueError as error:
        raise Refusal(400, "The URL's query cannot be read as UTF-8 form fields") from error
    parameters: dict[str, Any] = {}
    for name in ("query", "documentId", "operationName"):
        if given.get(name):
            parameters[name] = given[name]
    for name in ("variables", "extensions"):
        if given.get(name):
            try:
                parameters[name] = orjson.loads(given[name])
            except orjson.JSONDecodeError as error:
                raise Refusal(400, f"`{name}` is no JSON: {error}") from error
    return _request(parameters)


def _object(parameters: Any) -> dict[str, Any]:
    if not isinstance(parameters, dict):
        raise Refusal(422, f"The body must be a JSON object, not {_kind(parameters)}")
    return parameters


def _request(parameters: Mapping[str, Any]) -> Request:
    for name in ("variables", "extensions"):
        if not isinstance(parameters.get(name), dict | None):
            raise Refusal(422, f"`{name}` must be an object, not {_kind(parameters[name])}")
    for name in ("query", "documentId", "operationName"):
        if not isinstance(parameters.get(name), str | None):
            raise Refusal(422, f"`{name}` must be a string, not {_kind(parameters[name])}")
    query, document_id = parameters.get("query"), parameters.get("documentId")
    extensions = parameters.get("extensions")
    if query is None and document_id is None and "persistedQuery" not in (extensions or {}):
        raise Refusal(422, "`query` is missing; it takes the document, as a string")
    return Request(
        query or "",
        parameters.get("operationName") or None,
        parameters.get("variables"),
        extensions,
        document_id,
    )


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "an object")
