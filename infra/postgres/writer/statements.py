"""The SQL of a batch, and its parameters."""

from collections.abc import Iterable, Sequence
from typing import Any

from domain.messages import QuarantinedFrame, SequenceGap
from infra.postgres.writer.batch import Job, Row, Share

COLUMNS = (
    "id",
    "workspace_id",
    "connector_id",
    "exchange",
    "instrument",
    "type",
    "price",
    "quantity",
    "side",
    "sequence",
    "event_time",
    "received_at",
    "data",
    "detail",
    "key",
)

SESSION = """
    set idle_in_transaction_session_timeout = '15s';
    set lock_timeout = '10s'
"""

BOOK = """
    with held as (
        update nodes
        set last_id = greatest(last_id, $1::bigint), leased_until = now() + make_interval(secs => $4)
        where node = $2 and leased_by = $3
        returning node
    ),
    part as (
        select * from unnest(
            $5::uuid[], $6::uuid[], $7::integer[], $8::bigint[], $9::bigint[], $10::integer[],
            $11::bigint[], $12::timestamptz[], $13::timestamptz[]
        ) part (workspace_id, connector_id, epoch, id, last_id, messages, bytes, first_at, last_at)
    ),
    moved as (
        select part.connector_id, part.epoch
        from part left join connector_status s
            on s.connector_id = part.connector_id and part.epoch in (s.lease_epoch, -1)
        where s.connector_id is null
    ),
    batches as (
        insert into message_batches (
            id, workspace_id, connector_id, last_id, message_count, byte_count,
            first_received_at, last_received_at, duration_ms, idempotency_key, digest
        )
        select id, workspace_id, connector_id, last_id, messages, bytes, first_at, last_at,
            $14::float8, $15::text, $16::bytea
        from part where messages > 0
    ),
    prices as (
        insert into instruments as old (
            workspace_id, exchange, name, last_price, last_time, last_message_id
        )
        select * from unnest(
            $17::uuid[], $18::text[], $19::text[], $20::numeric[], $21::timestamptz[], $22::bigint[]
        ) new (workspace_id, exchange, name, price, time, id)
        order by workspace_id, exchange, name
        on conflict (workspace_id, exchange, name) do update
        set last_price = excluded.last_price, last_time = excluded.last_time,
            last_message_id = excluded.last_message_id
        where old.last_message_id < excluded.last_message_id
            and (excluded.last_price is not null or old.last_price is null)
    )
    select exists (select from held) as held,
        array(select connector_id from moved) as moved_ids,
        array(select epoch from moved) as moved_epochs
"""

INSERT_FRAMES = """
    insert into quarantined_frames (
        id, workspace_id, connector_id, received_at, reason, explanation, source, frame,
        frame_bytes, state
    )
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (id) do nothing
"""

INSERT_GAPS = """
    insert into sequence_gaps (
        id, workspace_id, connector_id, instrument, type, after_sequence, before_sequence,
        missed, noticed_at
    )
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (id) do nothing
"""

LOCK_NODE = "select from nodes where node = $1 for update"

IS_STORED = "select exists (select from message_batches where id = any($1::bigint[]))"

LOCK_HELD_FRAMES = """
    select id from quarantined_frames where id = any($1::uuid[]) and state = 'held' for update
"""

MARK_REPLAYED = """
    update quarantined_frames set state = 'replayed', replayed_at = now() where id = any($1::uuid[])
"""

FIND_SAVED = """
    select id, message_count, digest from message_batches
    where connector_id = $1 and idempotency_key = $2
"""

POSITION = "select node, last_id from nodes where last_id > 0"

_BIGINT = (1 << 63) - 1
_INTEGER = (1 << 31) - 1


def book_parameters(
    shares: Sequence[Share], newest: Iterable[Row], duration_ms: float, job: Job | None
) -> list[Any]:
    """Parameters of BOOK from the fifth on."""
    rows = list(newest)
    return [
        [share.workspace_id for share in shares],
        [share.connector_id for share in shares],
        [share.epoch for share in shares],
        [share.first_id for share in shares],
        [share.last_id for share in shares],
        [share.messages for share in shares],
        [share.size_bytes for share in shares],
        [min(share.received, default=None) for share in shares],
        [max(share.received, default=None) for share in shares],
        duration_ms,
        job and job.idempotency_key,
        job and job.digest,
        [row[1] for row in rows],
        [row[3] for row in rows],
        [row[4] for row in rows],
        [row[6] for row in rows],
        [row[10] or row[11] for row in rows],
        [row[0] for row in rows],
    ]


def frame_parameters(frame: QuarantinedFrame) -> tuple[Any, ...]:
    """Parameters of INSERT_FRAMES; text is made fit for the database."""
    return (
        frame.id,
        frame.workspace_id,
        frame.connector_id,
        frame.received_at,
        frame.reason.value,
        _text(frame.explanation),
        _text(frame.source),
        frame.frame,
        min(frame.frame_bytes, _INTEGER),
        frame.state.value,
    )


def gap_parameters(gap: SequenceGap) -> tuple[Any, ...]:
    """Parameters of INSERT_GAPS; numbers beyond 63 bits become the largest."""
    return (
        gap.id,
        gap.workspace_id,
        gap.connector_id,
        _text(gap.instrument),
        gap.type.value,
        _number(gap.after_sequence),
        _number(gap.before_sequence),
        _number(gap.missed),
        gap.noticed_at,
    )


def _text(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _number(number: int) -> int:
    return max(-_BIGINT, min(number, _BIGINT))
