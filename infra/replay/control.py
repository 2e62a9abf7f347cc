"""The control endpoints of a running replayer: who is connected, which faults are at work, and changing them.

    GET    /control                 what plays, who is connected, what was sent, which faults are at work
    POST   /control/faults          {"kind": "slow", "venue": "okx", "seconds": 0.5, ...} -> 201 {"id": 1}
    DELETE /control/faults          behave again
    DELETE /control/faults/{id}     stop one fault
    POST   /control/disconnect      {"venue": "okx", "abrupt": true} -> {"disconnected": 3}

The fields of a fault are those of `infra.replay.faults.Fault`.
"""

import json
from dataclasses import asdict, fields
from enum import Enum
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.replay.faults import Corruption, Fault, FaultKind, Transport
from infra.replay.options import VENUES
from infra.replay.stage import Stage

BODY_LIMIT_BYTES = 64 * 1024

_NAMES = {field.name for field in fields(Fault)}
_WHOLE = {"count", "after", "status", "size_bytes", "close_code"}
_REAL = {"probability", "seconds"}


def fault_of(facts: Any) -> Fault:
    """A fault from JSON; raises ValueError saying what is wrong."""
    if not isinstance(facts, dict) or "kind" not in facts:
        raise ValueError("a fault is an object with at least a kind")
    if unknown := sorted(facts.keys() - _NAMES):
        raise ValueError(f"unknown fields: {', '.join(unknown)}")
    values = {name: value for name, value in facts.items() if value is not None}
    for name, value in values.items():
        _check(name, value)
    enums = {"kind": FaultKind, "transport": Transport, "corruption": Corruption}
    for name, enum in enums.items():
        if name in values:
            values[name] = enum(values[name])
    return Fault(**values)


def _check(name: str, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _WHOLE and (not number or value != int(value) or value < 0):
        raise ValueError(f"{name} must be a whole number")
    if name in _REAL and not number:
        raise ValueError(f"{name} must be a number")
    if name not in _WHOLE | _REAL and not isinstance(value, str):
        raise ValueError(f"{name} must be a text")
    if name == "venue" and value not in VENUES:
        raise ValueError(f"venue must be one of {', '.join(VENUES)}")


def control_routes(stage: Stage, streams: dict[str, list[str]]) -> list[Route]:
    """The control endpoints; `streams` names what each venue plays."""

    async def show(request: Request) -> Response:
        return JSONResponse(
            {
                "venues": {
                    venue: {
                        "streams": names,
                        "connections": stage.connections(venue),
                        "opened": stage.opened[venue],
                        "framesSent": stage.frames_sent[venue],
                    }
                    for venue, names in streams.items()
                },
                "faults": [
                    {"id": id, "struck": struck, **_shown(fault)}
                    for id, fault, struck in stage.faults.listed()
                ],
            }
        )

    async def add(request: Request) -> Response:
        try:
            id = stage.faults.add(fault_of(await _json(request)))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"id": id}, 201)

    async def clear(request: Request) -> Response:
        stage.faults.clear()
        return Response(status_code=204)

    async def remove(request: Request) -> Response:
        known = stage.faults.remove(request.path_params["id"])
        return Response(status_code=204 if known else 404)

    async def disconnect(request: Request) -> Response:
        try:
            asked = await _json(request)
            venue, abrupt = asked.get("venue"), bool(asked.get("abrupt", False))
        except (ValueError, AttributeError):
            return JSONResponse({"error": "the body must be a JSON object"}, 400)
        return JSONResponse({"disconnected": await stage.disconnect(venue, abrupt)})

    return [
        Route("/control", show, methods=["GET"]),
        Route("/control/faults", add, methods=["POST"]),
        Route("/control/faults", clear, methods=["DELETE"]),
        Route("/control/faults/{id:int}", remove, methods=["DELETE"]),
        Route("/control/disconnect", disconnect, methods=["POST"]),
    ]


async def _json(request: Request) -> Any:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise ValueError(f"the body must be at most {BODY_LIMIT_BYTES} bytes")
    return json.loads(body or b"{}")


def _shown(fault: Fault) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in asdict(fault).items()
    }
