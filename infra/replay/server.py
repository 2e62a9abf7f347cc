"""The replayer: one server on one port that plays the recorded venues over their own paths and protocols.

Each venue is mounted in front of its own paths, and is also found by its real host name in the Host header:

    /binance             /ws, /ws/<stream>, /stream?streams=, /api/v3/...
    /okx                 /ws/v5/public, /ws/v5/business, /api/v5/market/...
    /coinbase            (the WebSocket itself), /products/<id>/..., /api/v3/brokerage/market/products/<id>/...
    /coinbase-advanced   (the WebSocket itself), the same REST endpoints
    /control             see `infra.replay.control`
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from infra.replay import recordings
from infra.replay.control import control_routes
from infra.replay.faults import Faults
from infra.replay.options import ReplayOptions
from infra.replay.recordings import RecordedAnswer, RecordedFrame, UnusableRecording
from infra.replay.rest import Desk, RestApp
from infra.replay.session import Session, refuse, serve_session
from infra.replay.stage import LoggedRequest, Stage
from infra.replay.tape import EPOCH_NS, Tape, Timing, kept
from infra.replay.templates import Draft
from infra.replay.venues import binance, coinbase, coinbase_advanced, okx
from infra.replay.venues.binance_rest import BinanceDesk
from infra.replay.venues.coinbase_rest import CoinbaseDesk
from infra.replay.venues.okx_rest import OkxDesk
from infra.replay.wire import WireHttp, WireSocket

STOP_SECONDS = 2.0
REQUEST_LIMIT_BYTES = 64 * 1024
HOSTS = {
    "stream.binance.com": "binance",
    "data-stream.binance.vision": "binance",
    "api.binance.com": "binance",
    "data-api.binance.vision": "binance",
    "ws.okx.com": "okx",
    "www.okx.com": "okx",
    "ws-feed.exchange.coinbase.com": "coinbase",
    "api.exchange.coinbase.com": "coinbase",
    "advanced-trade-ws.coinbase.com": "coinbase-advanced",
    "api.coinbase.com": "coinbase-advanced",
}

DeskOf = Callable[[Sequence[Draft], Sequence[RecordedAnswer], float], Desk]


@dataclass(frozen=True, slots=True)
class _Venue:
    """How a venue's recordings are read and who speaks for it; `sockets` are its WebSocket paths' beginnings."""

    draft: Callable[[RecordedFrame], Draft | None]
    session: type[Session]
    desk: DeskOf
    sockets: tuple[str, ...]


_VENUES = {
    "binance": _Venue(binance.draft, binance.BinanceSession, BinanceDesk, ("/ws", "/stream")),
    "okx": _Venue(okx.draft, okx.OkxSession, OkxDesk, ("/ws/v5/public", "/ws/v5/business")),
    "coinbase": _Venue(
        coinbase.draft,
        coinbase.CoinbaseSession,
        lambda drafts, answers, speed: CoinbaseDesk("coinbase", drafts, answers, speed),
        ("",),
    ),
    "coinbase-advanced": _Venue(
        coinbase_advanced.draft,
        coinbase_advanced.AdvancedSession,
        lambda drafts, answers, speed: CoinbaseDesk("coinbase-advanced", drafts, answers, speed),
        ("",),
    ),
}


class Replayer:
    """`async with Replayer(options) as replayer:` serves until the block ends."""

    def __init__(
        self, options: ReplayOptions | None = None, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.options = options or ReplayOptions()
        self.port = 0
        self._stage = Stage(self.options, Faults(self.options.seed, self.options.faults), clock)
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._tapes: dict[str, Tape] = {}

    @property
    def faults(self) -> Faults:
        """The faults at work; change them at any time."""
        return self._stage.faults

    @property
    def requests(self) -> Sequence[LoggedRequest]:
        """The last requests and WebSocket handshakes, oldest first."""
        return self._stage.requests

    @property
    def streams(self) -> dict[str, list[str]]:
        """The names of the streams each venue plays."""
        return {venue: tape.streams for venue, tape in self._tapes.items()}

    def tape(self, venue: str) -> Tape:
        """What a venue plays."""
        return self._tapes[venue]

    def connections(self, venue: str | None = None) -> int:
        """Open WebSocket connections, of one venue or all."""
        return self._stage.connections(venue)

    def opened(self, venue: str | None = None) -> int:
        """WebSocket connections opened so far, of one venue or all."""
        opened = self._stage.opened
        return opened.total() if venue is None else opened[venue]

    def frames_sent(self, venue: str | None = None) -> int:
        """Data frames sent so far, of one venue or all."""
        sent = self._stage.frames_sent
        return sent.total() if venue is None else sent[venue]

    async def disconnect(self, venue: str | None = None, abrupt: bool = False) -> int:
        """End open WebSocket connections, with a closing handshake or by a reset; how many there were."""
        return await self._stage.disconnect(venue, abrupt)

    def url(self, venue: str, path: str = "") -> str:
        """The URL of a venue's own path: ws:// for its WebSocket paths, http:// for the rest."""
        scheme = "ws" if _is_socket(venue, path.partition("?")[0]) else "http"
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        return f"{scheme}://{host}:{self.port}/{venue}{path}"

    async def start(self) -> None:
        """Load the recordings and listen; raises UnusableRecording or OSError."""
        application = await asyncio.to_thread(self._application)
        listener = _listener(self.options.host, self.options.port)
        self.port = listener.getsockname()[1]
        config = Config(
            application,
            http=WireHttp,
            ws=WireSocket,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws_max_size=REQUEST_LIMIT_BYTES,
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            timeout_keep_alive=75,
        )
        config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: WireHttp(config, self._state, {}), sock=listener, backlog=1024
        )

    async def stop(self) -> None:
        """Close every connection and stop listening, in at most about two seconds."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if tasks := list(self._state.tasks):
            _, pending = await asyncio.wait(tasks, timeout=STOP_SECONDS / 2)
            for task in pending:
                task.cancel()
            if pending:
                await asyncio.wait(pending, timeout=STOP_SECONDS / 2)
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _application(self) -> ASGIApp:
        apps = {name: self._venue_app(name) for name in self.options.venues}
        control = Starlette(routes=list(control_routes(self._stage, self.streams)))
        return _Front(apps, control)

    def _venue_app(self, name: str) -> "_VenueApp":
        options, venue = self.options, _VENUES[name]
        folder = recordings.folder_of(options.frames)
        drafts = _drafts(recordings.frames(folder, name), venue, name)
        on_tape = [draft for draft in drafts if kept(draft, options.streams)]
        fresh = options.recorded_numbers or not options.loop
        origin_ns = self._stage.clock() if fresh else EPOCH_NS
        tape = Tape(on_tape, Timing(options.speed, options.rate), origin_ns)
        self._tapes[name] = tape
        desk = venue.desk(drafts, recordings.answers(folder, name), options.speed)
        return _VenueApp(self._stage, name, venue, tape, RestApp(self._stage, desk))


def _drafts(frames: Sequence[RecordedFrame], venue: _Venue, name: str) -> list[Draft]:
    drafts = []
    for number, frame in enumerate(frames, 1):
        try:
            draft = venue.draft(frame)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnusableRecording(f"{name}.frames.jsonl, line {number}: {error!r}") from error
        if draft is not None:
            drafts.append(draft)
    return drafts


@dataclass(frozen=True, slots=True)
class _VenueApp:
    """A venue's WebSocket and REST sides under its prefix."""

    stage: Stage
    name: str
    venue: _Venue
    tape: Tape
    rest: RestApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or request; `scope["root_path"]` is the prefix."""
        if scope["type"] == "http":
            await self.rest(scope, receive, send)
            return
        own_path = scope["path"][len(scope["root_path"]) :]
        if _is_socket(self.name, own_path):
            await serve_session(self.venue.session, self.stage, self.tape, scope, receive, send)
        else:
            await receive()
            await refuse(scope, send, 404, {})


@dataclass(frozen=True, slots=True)
class _Front:
    """Sends each connection to its venue, by the first part of the path or by the Host header."""

    venues: dict[str, _VenueApp]
    control: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or request."""
        path: str = scope["path"]
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0]
        by_host = HOSTS.get(host)
        if by_host in self.venues and first not in self.venues:
            scope = {**scope, "path": f"/{by_host}{path}"}
            first = str(by_host)
        if first in self.venues:
            scope = {**scope, "root_path": f"/{first}"}
            await self.venues[first](scope, receive, send)
        else:
            await self.control(scope, receive, send)


def _is_socket(venue: str, path: str) -> bool:
    bare = path.rstrip("/")
    return any(
        bare == start or (venue == "binance" and bare.startswith(f"{start}/"))
        for start in _VENUES[venue].sockets
    )


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


async def serve(options: ReplayOptions, started: Callable[[Replayer], None] | None = None) -> None:
    """Serve until cancelled; `started` is told once the replayer listens."""
    async with Replayer(options) as replayer:
        if started is not None:
            started(replayer)
        await asyncio.get_running_loop().create_future()
