"""REST sources: polled on a fixed schedule, politely."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import floor
from random import SystemRandom

import httpx
from loguru import logger

from domain.connectors import Connector, ConnectorEvent, HttpMethod, Secrets
from domain.ports import Clock
from infra.feeds.backoff import Backoff, retry_after
from infra.feeds.budget import RateBudget
from infra.feeds.faults import SourceFailed, fault_of, is_lasting
from infra.feeds.guard import Guard
from infra.feeds.receiver import Receiver
from infra.feeds.signing import Signed, sign
from infra.feeds.status import StatusKeeper

REDIRECTS = 5
EXCERPT_BYTES = 2_000
_REDIRECTED = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({418, 429, 503})


@dataclass(frozen=True, slots=True)
class PollOptions:
    """Patience and bounds of REST sources; all durations in seconds."""

    connect_seconds: float = 10.0
    read_seconds: float = 15.0
    request_seconds: float = 30.0
    response_limit_bytes: int = 16_777_216
    backoff: Backoff = field(default_factory=Backoff)
    random: Callable[[], float] = field(default_factory=lambda: SystemRandom().random)


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer: its body (None: unchanged or empty), and its size when it was cut at the limit."""

    body: bytes | None
    cut_from: int | None = None
    validators: Mapping[str, str] = field(default_factory=dict)


class Fetcher:
    """Asks one REST source; keeps its connection open between questions."""

    def __init__(
        self,
        connector: Connector,
        secrets: Secrets,
        guard: Guard,
        budget: RateBudget,
        clock: Clock,
        options: PollOptions,
    ) -> None:
        self._connector = connector
        self._secrets = secrets
        self._budget = budget
        self._clock = clock
        self._options = options
        self._validators: Mapping[str, str] = {}
        self._client = httpx.AsyncClient(
            transport=guard.transport(),
            timeout=httpx.Timeout(options.read_seconds, connect=options.connect_seconds),
            headers={"User-Agent": "Penstock", "Accept-Encoding": "gzip, deflate"},
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def fetch(self) -> Fetched:
        """One answer, redirects followed; raises what `fault_of` explains. Waits for its place in the host's budget first."""
        url = httpx.URL(self._connector.url)
        home = _origin(url)
        for _ in range(REDIRECTS + 1):
            await self._budget.acquire(url.host)
            async with asyncio.timeout(self._options.request_seconds):
                answer = await self._ask(url, at_home=_origin(url) == home)
            if isinstance(answer, Fetched):
                return answer
            url = answer
        raise SourceFailed(f"the source redirects more than {REDIRECTS} times", lasting=True)

    def accept(self, fetched: Fetched) -> None:
        """The answer is taken care of: next time, ask only for something newer."""
        if fetched.body is not None:
            self._validators = fetched.validators

    async def _ask(self, url: httpx.URL, *, at_home: bool) -> Fetched | httpx.URL:
        method, body = self._connector.method.value, self._connector.body or ""
        # Another origin gets nothing that is secret: neither authentication, nor headers, nor parameters.
        signed = Signed(url, {})
        if at_home:
            now = self._clock.now()
            signed = sign(self._connector, self._secrets, method, url, body, now)
        headers = {**signed.headers, **self._validators} if at_home else {}
        async with self._client.stream(
            method,
            signed.url,
            headers=headers | _content_type(self._connector, headers),
            content=body.encode() if body else None,
        ) as response:
            if response.status_code in _REDIRECTED and "Location" in response.headers:
                return self._redirected(url, response.headers["Location"])
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return Fetched(None)
            if response.is_success:
                return await self._read(response)
            raise await self._refused(url.host, response)

    def _redirected(self, url: httpx.URL, location: str) -> httpx.URL:
        if self._connector.method is not HttpMethod.GET:
            raise SourceFailed("the source redirects a request with a body", lasting=True)
        target = url.join(location)
        for name in self._secrets.query_parameters:  # added again when the request is signed
            target = target.copy_remove_param(name)
        if url.scheme == "https" and target.scheme != "https":
            raise SourceFailed("the source redirects away from HTTPS", lasting=True)
        return target

    async def _read(self, response: httpx.Response) -> Fetched:
        limit = self._options.response_limit_bytes
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > limit:
                announced = response.headers.get("Content-Length", "")
                size = int(announced) if announced.isdecimal() else 0
                return Fetched(bytes(body[:limit]), cut_from=max(size, len(body)))
        return Fetched(bytes(body) or None, validators=_validators(self._connector, response))

    async def _refused(self, host: str, response: httpx.Response) -> SourceFailed:
        status = response.status_code
        wait = retry_after(response.headers.get("Retry-After"), self._clock.now())
        if status in _BUSY and wait is not None:
            self._budget.pause(host, wait)
        said = bytearray()
        async for chunk in response.aiter_bytes():
            said += chunk
            if len(said) >= EXCERPT_BYTES:
                break
        words = " ".join(said[:EXCERPT_BYTES].decode(errors="replace").split())
        explanation = f"the source answered HTTP status {status}" + (f": {words}" if words else "")
        return SourceFailed(explanation, lasting=is_lasting(status), wait_seconds=wait)


class Poller:
    """Polls one REST source until cancelled: every interval, on schedule, never two polls at once."""

    def __init__(
        self,
        connector: Connector,
        fetcher: Fetcher,
        receiver: Receiver,
        keeper: StatusKeeper,
        options: PollOptions,
    ) -> None:
        self._interval = (connector.polling_interval_ms or 5_000) / 1000
        self._fetcher = fetcher
        self._receiver = receiver
        self._keeper = keeper
        self._options = options
        self._time = asyncio.get_running_loop().time

    async def run(self) -> None:
        """Poll now, and then at every whole interval from now; only cancellation ends it."""
        began, attempt = self._time(), 0
        try:
            while True:
                wait = 0.0
                try:
                    await self._poll()
                    attempt = 0
                except Exception as error:  # noqa: BLE001 - whatever a poll meets, the next one follows
                    wait = self._failed(error, attempt)
                    attempt += 1
                await asyncio.sleep(self._until_next(began, wait))
                self._keeper.reconnects += attempt > 0
        finally:
            await self._fetcher.close()

    async def _poll(self) -> None:
        fetched = await self._fetcher.fetch()
        self._keeper.happened(ConnectorEvent.CONNECTED)
        if fetched.body is not None:
            if fetched.cut_from is None:
                await self._receiver.take(fetched.body)
            else:
                limit = self._options.response_limit_bytes
                await self._receiver.take_too_large(fetched.body, fetched.cut_from, limit)
        self._fetcher.accept(fetched)

    def _failed(self, error: Exception, attempt: int) -> float:
        fault = fault_of(error)
        self._keeper.happened(fault.event, fault.explanation)
        wait = self._options.backoff.seconds(attempt, self._options.random)
        logger.warning("{}", self._keeper.clean(fault.explanation))
        return max(wait, fault.wait_seconds or 0.0)

    def _until_next(self, began: float, wait: float) -> float:
        """Seconds to the first point of the schedule that is at least `wait` away; points that passed are left out."""
        now = self._time()
        passed = floor((now + wait - began) / self._interval)
        return max(began + (passed + 1) * self._interval - now, 0.0)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _validators(connector: Connector, response: httpx.Response) -> dict[str, str]:
    if connector.method is not HttpMethod.GET:
        return {}
    validators = {}
    if "ETag" in response.headers:
        validators["If-None-Match"] = response.headers["ETag"]
    if "Last-Modified" in response.headers:
        validators["If-Modified-Since"] = response.headers["Last-Modified"]
    return validators


def _content_type(connector: Connector, headers: Mapping[str, str]) -> dict[str, str]:
    if not connector.body or any(name.lower() == "content-type" for name in headers):
        return {}
    return {"Content-Type": "application/json"}
