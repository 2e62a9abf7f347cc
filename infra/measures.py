"""What a process shows of its parts in `/metrics`, beside what the web counts itself."""

from collections.abc import Callable, Iterator
from typing import Protocol

from domain.connectors import ConnectorState
from infra.mail.post import Posting
from infra.parts import Parts
from infra.realtime.sharing import Shares
from infra.web.front import FrontDoor
from infra.web.metrics import Metrics, Sample


class Sockets(Protocol):
    """The WebSockets of this process."""

    @property
    def open_sockets(self) -> int:
        """How many clients are connected."""


def measure_parts(metrics: Metrics, parts: Parts) -> None:
    """What every process has: its writer, its pool, its bus, the connectors it runs."""
    _measure_writer(metrics, parts)
    _measure_connectors(metrics, parts)
    databases = {
        "service": parts.database,
        "ingest": parts.stream,
        **parts.tenancy.databases,
    }

    def connections() -> Iterator[Sample]:
        for name, database in databases.items():
            in_use, idle = database.connections
            yield [name, "in_use"], in_use
            yield [name, "idle"], idle

    metrics.family(
        "pool_connections",
        "Connections to the database, of each role's pools, in use and idle.",
        ["role", "state"],
        connections,
    )
    metrics.gauge("bus_connected", "Whether the bus answers.", lambda: parts.bus.connected)
    metrics.counter(
        "healed_messages",
        "Messages the bus lost and the database gave.",
        lambda: parts.hub.healed_rows,
    )


def measure_service(metrics: Metrics, shares: Shares, sockets: Sockets, front: FrontDoor) -> None:
    """What a process has that serves clients."""
    metrics.gauge("sockets", "WebSocket clients connected.", lambda: sockets.open_sockets)
    metrics.gauge("subscribers", "Subscriptions open.", lambda: shares.subscribers)
    metrics.counter("deliveries", "Events handed to subscribers.", lambda: shares.deliveries)
    metrics.counter(
        "lost_messages",
        "Messages left out for subscribers too slow, each told in a Gap.",
        lambda: shares.lost_messages,
    )
    metrics.gauge(
        "outbox_events", "Events waiting for subscribers to read them.", lambda: shares.waiting
    )
    metrics.counter(
        "rate_limited", "Operations refused for their rate.", lambda: front.limits.refused
    )
    metrics.counter(
        "subscriptions_refused",
        "Subscriptions refused because their caller has too many.",
        lambda: front.followers.refused,
    )
    metrics.counter(
        "rate_limit_fallbacks",
        "Requests counted in memory because Redis was away.",
        lambda: front.counters.fallbacks,
    )


def measure_post(metrics: Metrics, post: Posting) -> None:
    """What becomes of mails."""
    metrics.gauge(
        "mails_waiting", "Mails taken, and neither sent nor given up.", lambda: post.waiting
    )
    metrics.counter("mails_given_up", "Mails that were never sent.", lambda: post.failures)


def _measure_writer(metrics: Metrics, parts: Parts) -> None:
    writer = parts.writer
    metrics.gauge(
        "writer_queued_messages", "Messages waiting to be stored.", lambda: writer.stats.queued_rows
    )
    metrics.gauge(
        "writer_queued_bytes", "Bytes waiting to be stored.", lambda: writer.stats.queued_bytes
    )
    totals: list[tuple[str, str, Callable[[], float]]] = [
        ("stored_messages", "Messages stored.", lambda: writer.stats.rows),
        ("writer_batches", "Batches stored.", lambda: writer.stats.flushes),
        ("writer_seconds", "Time spent storing batches.", lambda: writer.stats.flush_seconds),
        ("writer_retries", "Batches tried again.", lambda: writer.stats.retries),
        (
            "shed_messages",
            "Messages given up while the database was away.",
            lambda: writer.stats.shed_messages,
        ),
        (
            "fenced_messages",
            "Messages given up because another process runs their connector.",
            lambda: writer.stats.fenced_messages,
        ),
        (
            "refused_messages",
            "Messages the database refused, kept in quarantine.",
            lambda: writer.stats.refused_messages,
        ),
        (
            "unannounced_batches",
            "Batches stored whose announcement failed; streams heal from the database.",
            lambda: writer.stats.unannounced,
        ),
    ]
    for name, description, read in totals:
        metrics.counter(name, description, read)


def _measure_connectors(metrics: Metrics, parts: Parts) -> None:
    def states() -> Iterator[Sample]:
        running = [status.state for status in parts.book.statuses()]
        for state in ConnectorState:
            yield [state.value], running.count(state)

    def delays() -> Iterator[Sample]:
        for status in parts.book.statuses():
            for quantile, delay in (("0.5", status.delay_p50_ms), ("0.95", status.delay_p95_ms)):
                if delay is not None:
                    yield [str(status.connector_id), quantile], delay / 1000

    def rates() -> Iterator[Sample]:
        for status in parts.book.statuses():
            yield [str(status.connector_id)], status.message_rate

    metrics.family("connectors", "Connectors this process runs, by their state.", ["state"], states)
    metrics.family(
        "connector_delay_seconds",
        "From the exchange's own time to the database, of the newest messages.",
        ["connector", "quantile"],
        delays,
    )
    metrics.family(
        "connector_messages_per_second",
        "Messages stored in the last ten seconds.",
        ["connector"],
        rates,
    )
