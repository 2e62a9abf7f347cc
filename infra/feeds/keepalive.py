"""What venues say to keep a socket alive, above the protocol's own pings: pure."""

import json
from dataclasses import dataclass

from domain.connectors import Venue

LONGEST = 64


@dataclass(frozen=True, slots=True)
class Keepalive:
    """`ping` is what the venue wants to hear on a quiet socket; None where it asks for nothing."""

    ping: str | None = None

    def speaks(self, frame: bytes) -> bool:
        """Whether a frame says nothing but that the venue is there."""
        return len(frame) <= LONGEST and (b"ping" in frame or b"pong" in frame) and _is_word(frame)

    def answer(self, frame: bytes) -> str | None:
        """What a venue's ping wants to hear back, in the form it asked; None for its pong."""
        text = frame.decode(errors="replace").strip()
        if text == "ping":
            return "pong"
        said = _object(frame)
        if "ping" in said:
            return json.dumps({"pong": said["ping"]})
        for name in ("op", "event", "type", "method"):
            if said.get(name) == "ping":
                return json.dumps(said | {name: "pong"})
        return None


# https://www.okx.com/docs-v5/en/#overview-websocket-connect: closed after 30 s without a message
OKX = Keepalive(ping="ping")
ANY = Keepalive()


def keepalive_of(venue: Venue) -> Keepalive:
    """How a venue keeps its sockets alive."""
    return OKX if venue is Venue.OKX else ANY


def _is_word(frame: bytes) -> bool:
    if frame.strip() in (b"ping", b"pong"):
        return True
    said = _object(frame)
    return ("ping" in said or "pong" in said) or any(
        said.get(name) in ("ping", "pong") for name in ("op", "event", "type", "method")
    )


def _object(frame: bytes) -> dict[str, object]:
    try:
        said = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
