"""From a venue's frame to messages: pure, exact, and refusing whole what is not understood."""

from typing import Any

import msgspec

from domain.connectors import Venue
from domain.messages import Tick
from infra.feeds.venues import binance, coinbase, custom, okx, wire


def normalise(
    venue: Venue, frame: bytes, source: str, mapping: dict[str, Any] | None
) -> list[Tick]:
    """The messages of a frame, in its own order; [] when it only steers the connection.

    `source` is the connector's URL: REST answers often do not say which instrument they are about, the request
    does. `mapping` belongs to custom venues. Raises CannotNormalise and nothing else: one element
    that is not understood refuses the whole frame, which is kept and can be tried again.
    """
    if wire.nests_too_deeply(frame):
        raise wire.malformed("nested too deeply")
    try:
        match venue:
            case Venue.BINANCE:
                return binance.normalise(frame, source)
            case Venue.OKX:
                return okx.normalise(frame, source)
            case Venue.COINBASE:
                return coinbase.normalise(frame, source)
            case Venue.CUSTOM:
                return custom.normalise(frame, source, mapping)
    except msgspec.DecodeError as error:
        raise wire.malformed(str(error)) from None
    except UnicodeDecodeError as error:
        raise wire.malformed(f"not UTF-8: {error.reason}") from None
    except RecursionError:
        raise wire.malformed("nested too deeply") from None
