"""What a replayer plays, how fast, and how it misbehaves from the start."""

from dataclasses import dataclass
from pathlib import Path

from infra.replay.faults import Fault

VENUES = ("binance", "okx", "coinbase", "coinbase-advanced")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Port 0 picks a free one.

    `speed` multiplies the recorded pace. `rate` instead spaces the frames of each venue's tape evenly, that many
    a second; a connection gets those of the streams it subscribed, so all of them reach a client of all streams.
    `streams` cuts the tapes to streams matching one of these shell patterns (`omgbusd@*`, `trades:BTC-USDT`,
    `ticker:SKL-USD`), which makes the rate that of the streams left.

    With `loop` the tape runs for ever and is the same for everyone: times are now, numbers continue from pass to
    pass and, the pass being told by the clock, from one run of the replayer to the next. `recorded_numbers` begins
    with the recorded numbers when the replayer starts instead. Without `loop` each connection hears the recording
    once, with the recorded numbers, from its first subscription on.

    `frames` is a folder of recordings in the form of `infra.replay.recordings`. Durations are in seconds.
    """

    host: str = "127.0.0.1"
    port: int = 0
    speed: float = 1.0
    rate: float | None = None
    loop: bool = True
    seed: int = 0
    venues: tuple[str, ...] = VENUES
    faults: tuple[Fault, ...] = ()
    frames: Path | None = None
    streams: tuple[str, ...] = ()
    recorded_numbers: bool = False
    ping_interval: float = 20.0
    pong_timeout: float = 60.0
    idle_timeout: float = 30.0
    subscribe_timeout: float = 5.0
    heartbeat_interval: float = 1.0

    def __post_init__(self) -> None:
        if unknown := set(self.venues) - set(VENUES):
            raise ValueError(
                f"no such venue: {', '.join(sorted(unknown))}; known: {', '.join(VENUES)}"
            )
        if not 0.001 <= self.speed <= 1_000_000:
            raise ValueError("speed must be from 0.001 to 1000000")
        if self.rate is not None and not 0.001 <= self.rate <= 10_000_000:
            raise ValueError("rate must be from 0.001 to 10000000 messages a second")
