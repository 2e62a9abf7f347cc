import json
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from domain.connectors import ConnectorProtocol, Venue
from infra.feeds.venues import normalise
from infra.replay.demo import demo_sources
from infra.replay.options import VENUES, ReplayOptions
from infra.replay.recordings import UnusableRecording
from infra.replay.server import Replayer
from tests.infra.replay.listening import listening, next_json, next_text, replaying, take

TRADE = '{"e":"trade","E":1700000000500,"s":"BTCUSDT","t":10,"p":"0.1234567891234567","q":"1","T":1700000000499,"m":true,"M":true}'


async def test_a_users_own_frames_are_played_with_their_times(tmp_path: Path) -> None:
    lines = [TRADE, TRADE.replace('"t":10', '"t":11')]
    (tmp_path / "binance.frames.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "binance.times.jsonl").write_text("1700000000.5\n1700000000.6\n")
    async with (
        replaying(frames=tmp_path, recorded_numbers=True, speed=1, venues=("binance",)) as replayer,
        listening(replayer, "binance", "/ws/btcusdt@trade") as socket,
    ):
        assert replayer.streams["binance"] == ["btcusdt@trade"]
        first, second = await take(socket, 2)
    assert second["t"] == first["t"] + 1
    assert first["p"] == "0.1234567891234567"
    if second["t"] % 2:
        assert second["E"] - first["E"] == 100


@pytest.mark.parametrize(
    ("frames", "times", "said"),
    [
        ("{nonsense", None, "line 1"),
        (TRADE + '\n{"stream":5,"data":{"e":"kline"}}', None, "line 2"),
        (TRADE, "1\n2", "2 lines for 1 frames"),
    ],
)
async def test_a_recording_that_cannot_be_played_says_where(
    tmp_path: Path, frames: str, times: str | None, said: str
) -> None:
    (tmp_path / "binance.frames.jsonl").write_text(frames)
    if times is not None:
        (tmp_path / "binance.times.jsonl").write_text(times)
    with pytest.raises(UnusableRecording, match=said):
        await Replayer(ReplayOptions(frames=tmp_path, venues=("binance",))).start()


async def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableRecording, match="nowhere is no folder"):
        await Replayer(ReplayOptions(frames=tmp_path / "nowhere")).start()


async def test_a_venue_without_recording_still_answers(tmp_path: Path) -> None:
    async with (
        replaying(frames=tmp_path, rate=100) as replayer,
        listening(replayer, "binance", "/ws/x@trade") as socket,
    ):
        await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
        assert await next_json(socket) == {"result": ["x@trade"], "id": 1}


@pytest.mark.parametrize("facts", [{"speed": 0}, {"rate": 0}, {"venues": ("nyse",)}])
def test_impossible_options_are_refused(facts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be|no such venue"):
        ReplayOptions(**facts)  # type: ignore[arg-type]


async def test_every_frame_of_every_pass_is_understood_with_the_recorded_prices() -> None:
    prices: dict[int, list[Decimal | None]] = {}
    async with replaying(rate=1) as replayer:
        for venue in VENUES:
            tape = replayer.tape(venue)
            of = Venue(venue.partition("-")[0])
            for turn in (0, 1, 2, 977):
                for index, piece in enumerate(tape.pieces):
                    frame = piece.template.render(turn, tape.due_ns(turn * len(tape) + index))
                    assert json.loads(frame)
                    ticks = normalise(of, frame, _source(replayer, venue, piece.streams[0]), None)
                    assert ticks
                    seen = [tick.price for tick in ticks]
                    assert prices.setdefault(hash((venue, index)), seen) == seen


def _source(replayer: Replayer, venue: str, stream: str) -> str:
    path = f"/ws/{stream}" if venue == "binance" else ""
    return replayer.url(venue, path)


async def test_every_demo_source_brings_messages() -> None:
    async with replaying(speed=20) as replayer, httpx.AsyncClient() as client:
        for source in demo_sources():
            url = replayer.url(source.replayed, source.path)
            frames: list[bytes] = []
            if source.protocol is ConnectorProtocol.REST:
                assert source.polling_interval_ms is not None
                frames.append((await client.get(url)).content)
            else:
                async with listening(
                    replayer, source.replayed, source.path, *source.subscribe_frames
                ) as socket:
                    frames += [str(await next_text(socket)).encode() for _ in range(30)]
            ticks = [tick for frame in frames for tick in normalise(source.venue, frame, url, None)]
            assert len(ticks) >= 10, source.name
