"""Metrics of this process for Prometheus; other parts add theirs by a name and a function that reads them."""

import asyncio
from collections.abc import Callable, Iterator
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
from prometheus_client.core import CounterMetricFamily, Metric
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


@dataclass(slots=True)
class Measured:
    """An operation being measured; set how it came out before it ends."""

    outcome: str = "ok"


class Metrics:
    """One registry, with what the web counts: operations by type and outcome, their durations, refusals."""

    def __init__(self) -> None:
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

    @contextmanager
    def operation(self, type: str) -> Iterator[Measured]:
        """Measure an operation of this type: query, mutation or subscription."""
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
            self._seconds.labels(type).observe(perf_counter() - start)

    def refused(self, status: int) -> None:
        """Count a request that was not executed."""
        self._refused.labels(str(status)).inc()

    def gauge(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a value that rises and falls, read whenever metrics are asked for."""
        Gauge(f"penstock_{name}", description, registry=self.registry).set_function(read)

    def counter(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a total that only grows, read whenever metrics are asked for."""
        self.registry.register(_Total(f"penstock_{name}", description, read))

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
