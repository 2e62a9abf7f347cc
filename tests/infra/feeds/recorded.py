"""The recorded frames and what is known to be in them."""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from domain.connectors import Venue

FOLDER = Path(__file__).parents[2] / "frames"
HOSTS = {
    Venue.BINANCE: "https://api.binance.com",
    Venue.OKX: "https://www.okx.com",
    Venue.COINBASE: "https://api.coinbase.com",
}


@dataclass(frozen=True)
class Recorded:
    id: str
    venue: Venue
    source: str
    frame: bytes
    sha256: str
    events: list[dict[str, Any]]


def recorded() -> list[Recorded]:
    found = []
    for expectations in sorted(FOLDER.glob("*.expect.jsonl")):
        frames = Path(str(expectations).replace(".expect.", ".frames.")).read_bytes().split(b"\n")
        for line in expectations.read_text().splitlines():
            told = json.loads(line, parse_float=Decimal)
            venue = Venue(told["exchange"])
            found.append(
                Recorded(
                    id=told["id"],
                    venue=venue,
                    source=HOSTS[venue] + told.get("endpoint", "/ws"),
                    frame=frames[told["frame"] - 1],
                    sha256=told["sha256"],
                    events=told["events"],
                )
            )
    return found


RECORDED = recorded()
