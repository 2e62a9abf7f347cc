"""Metrics of this process for Prometheus; other parts add theirs by a name and a function that reads them."""

import asyncio
import hmac
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)

PATHS: Final = frozenset({"/", "/graphql", "/healthz", "/readyz", "/metrics"})
NAMES: Final = 200
"""Operation names counted by themselves: clients choose them, and each is a series for ever."""

OTHER: Final = "other"
Sample = tuple[Sequence[str], float]


@dataclass(slots=True)
class Measured:
    """An operation being measured; set how it came out before it ends."""

    outcome: str = "ok"


class Metrics:
    """One registry, with what the web counts: requests, operations, their durations, errors, refusals.

    `names` are operations counted by name whatever else is asked; without them the first that are seen are.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = set(names)
        self._learning = not names
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._operations = Counter(
            "penstock_operations",
            "GraphQL operations by type and outcome (ok, errors, failed, cancelled).",
            ["type", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "penstock_operation_seconds",
            "Duration of GraphQL operations, of a subscription as long as it lasts.",
            ["type"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._running = Gauge(
            "penstock_operations_running",
            "GraphQL operations being executed.",
            ["type"],
            registry=self.registry,
        )
        self._refused = Counter(
            "penstock_requests_refused",
            "Requests refused before execution, by HTTP status.",
            ["status"],
            registry=self.registry,
        )

        self._named = Counter(
            "penstock_named_operations",
            "GraphQL operations by their own name, type and outcome; a bounded set of names, the rest is `other`.",
            ["name", "type", "outcome"],
            registry=self.registry,
        )
        self._errors = Counter(
            "penstock_errors",
            "Errors told to clients, by code.",
            ["code"],
            registry=self.registry,
        )
        self._requests = Counter(
            "penstock_http_requests",
            "HTTP requests by path and status; 0 when the client left before.",
            ["path", "status"],
            registry=self.registry,
        )

    @contextmanager
    def operation(self, type: str, name: str | None = None) -> Iterator[Measured]:
        """Measure an operation of this type (query, mutation or subscription) and name."""
        measured = Measured()
        start = perf_counter()
        self._running.labels(type).inc()
        try:
            yield measured
        except asyncio.CancelledError:
            measured.outcome = "cancelled"
            raise
        except Exception:
            measured.outcome = "failed"
            raise
        finally:
            self._running.labels(type).dec()
            self._operations.labels(type, measured.outcome).inc()
            self._named.labels(self._known(name), type, measured.outcome).inc()
            self._seconds.labels(type).observe(perf_counter() - start)

    def refused(self, status: int) -> None:
        """Count a request that was not executed."""
        self._refused.labels(str(status)).inc()

    def errors(self, codes: Iterable[str]) -> None:
        """Count errors told to a client."""
        for code in codes:
            self._errors.labels(code).inc()

    def request(self, path: str, status: int) -> None:
        """Count an HTTP request that is over."""
        self._requests.labels(path if path in PATHS else OTHER, str(status)).inc()

    def _known(self, name: str | None) -> str:
        if name is not None and name in self._names:
            return name
        if name is not None and self._learning and len(self._names) < NAMES:
            self._names.add(name)
            return name
        return OTHER

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a value that rises and falls, read whenever metrics are asked for."""
        Gauge(f"penstock_{name}", description, registry=self.registry).set_function(read)

    def counter(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a total that only grows, read whenever metrics are asked for."""
        self.registry.register(_Total(f"penstock_{name}", description, read))

    def family(
        self,
        name: str,
        description: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[Sample]],
    ) -> None:
        """Show values that rise and fall, one for each set of labels there is by then."""
        self.registry.register(_Family(f"penstock_{name}", description, labels, read))

    async def endpoint(self, request: Request) -> Response:
        """`/metrics`, as text or OpenMetrics."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(
            encode(self.registry),
            headers={"content-type": content_type, "cache-control": "no-store"},
        )


class _Total(Collector):
    def __init__(self, name: str, description: str, read: Callable[[], float]) -> None:
        self._name, self._description, self._read = name, description, read

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._description, value=self._read())


class _Family(Collector):
    def __init__(
        self,
        name: str,
        description: str,
        labels: Sequence[str],
        read: Callable[[], Iterable[Sample]],
    ) -> None:
        self._name, self._description, self._labels, self._read = name, description, labels, read

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self._name, self._description, labels=self._labels)
        for labels, value in self._read():
            family.add_metric(labels, value)
        yield family


class Guarded:
    """Metrics for those who know the token."""

    def __init__(self, metrics: Metrics, token: str | None) -> None:
        self._metrics = metrics
        self._wanted = None if token is None else f"Bearer {token}".encode()

    async def endpoint(self, request: Request) -> Response:
        """`/metrics`; 401 without the token, if one is set."""
        given = request.headers.get("authorization", "").encode()
        if self._wanted is not None and not hmac.compare_digest(given, self._wanted):
            return Response(
                "The token of PENSTOCK_METRICS_TOKEN is needed",
                401,
                {"www-authenticate": "Bearer", "cache-control": "no-store"},
                media_type="text/plain",
            )
        return await self._metrics.endpoint(request)
