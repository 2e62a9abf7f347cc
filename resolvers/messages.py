"""Messages: pages, records, saving, replaying, and the live stream."""

import base64
import json
from datetime import timedelta
from typing import Annotated

import strawberry

from domain import connectors, messages
from domain.connectors import Connector, ConnectorNotFound
from domain.errors import InvalidInput, NotFound
from domain.identity import Permission
from domain.live import LiveStream
from domain.messages import (
    Instrument,
    Message,
    MessageBatchRecord,
    MessageDetail,
    MessageEvent,
    MessageOrder,
    MessagePage,
    NewMessage,
    QuarantinedFrame,
    SavedMessages,
    SequenceGap,
    records,
)
from domain.paging import Page, Window, window
from domain.texts import check_text
from resolvers import ids
from resolvers.context import Info
from resolvers.paging import After, Before, First, Last
from resolvers.rights import connector_for
from resolvers.selection import selected
from schema.inputs.messages import (
    Delivery,
    InstrumentFilter,
    MessageFilter,
    MessageInput,
    ReplayQuarantineInput,
    SaveMessagesInput,
)
from schema.scalars import Cursor

KEY_LIMIT = 200
REPLAY_LIMIT = 1000

_COLUMNS: dict[str, tuple[str, ...]] = {
    "connector": ("connector_id",),
    "connectorId": ("connector_id",),
    "exchange": ("exchange",),
    "instrument": ("instrument",),
    "type": ("type",),
    "price": ("price",),
    "quantity": ("quantity",),
    "side": ("side",),
    "sequence": ("sequence",),
    "eventTime": ("event_time",),
    "receivedAt": ("received_at",),
    "data": ("data",),
    "detail": ("detail", "type"),
}

Filter = Annotated[
    MessageFilter | None, strawberry.argument(description="Which messages; null: all.")
]
Order = Annotated[
    MessageOrder | None,
    strawberry.argument(description="Which end comes first; null: the newest."),
]
OfConnector = Annotated[
    strawberry.ID | None, strawberry.argument(description="Of one connector; null: of all.")
]


async def page(
    info: Info,
    filter: Filter = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    order: Order = MessageOrder.NEWEST_FIRST,
) -> MessagePage:
    """A page of messages."""
    return await _page(info, filter, order, window(first, after, last, before), None)


async def page_of(
    root: strawberry.Parent[Connector],
    info: Info,
    filter: Filter = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    order: Order = MessageOrder.NEWEST_FIRST,
) -> MessagePage:
    """A page of a connector's messages."""
    return await _page(info, filter, order, window(first, after, last, before), root)


async def _page(
    info: Info,
    filter: MessageFilter | None,
    order: MessageOrder | None,
    asked: Window,
    connector: Connector | None,
) -> MessagePage:
    """Read only the columns selected; the position too, from the same snapshot, when `cursor` is."""
    admitted = _filter(info, filter)
    if connector is not None:
        if admitted.connector_ids and connector.id not in admitted.connector_ids:
            raise InvalidInput(field="filter.connectorIds", reason="names other connectors only")
        admitted = _only(admitted, connector)
    order, columns = order or MessageOrder.NEWEST_FIRST, _columns(info)
    log = info.context.log
    if "cursor" in selected(info):
        return await log.snapshot(admitted, order, asked, columns)
    return MessagePage(await log.page(admitted, order, asked, columns))


def _only(filter: messages.MessageFilter, connector: Connector) -> messages.MessageFilter:
    return messages.MessageFilter(
        workspace_id=filter.workspace_id,
        connector_ids=frozenset((connector.id,)),
        exchanges=filter.exchanges,
        instruments=filter.instruments,
        types=filter.types,
        since=filter.since,
        until=filter.until,
    )


def _columns(info: Info) -> frozenset[str]:
    names = {"id"}
    for field in selected(info, "edges", "node"):
        names.update(_COLUMNS.get(field, ()))
    return frozenset(names)


def _filter(info: Info, filter: MessageFilter | None) -> messages.MessageFilter:
    workspace_id = info.context.require(Permission.READ_DATA).workspace_id
    if filter is None:
        return messages.MessageFilter(workspace_id=workspace_id)
    for name, values in (
        ("connectorIds", filter.connector_ids),
        ("exchanges", filter.exchanges),
        ("instruments", filter.instruments),
        ("types", filter.types),
    ):
        if len(values or ()) > messages.FILTER_LIMIT:
            reason = f"at most {messages.FILTER_LIMIT} values"
            raise InvalidInput(field=f"filter.{name}", reason=reason)
    for name in ("exchanges", "instruments"):
        for at, text in enumerate(getattr(filter, name) or ()):
            check_text(f"filter.{name}.{at}", text, 0, KEY_LIMIT)
    return messages.MessageFilter(
        workspace_id=workspace_id,
        connector_ids=ids.uuids("filter.connectorIds", filter.connector_ids, "Connector"),
        exchanges=frozenset(filter.exchanges or ()),
        instruments=frozenset(filter.instruments or ()),
        types=frozenset(filter.types or ()),
        since=filter.since,
        until=filter.until,
    )


async def batches(
    info: Info,
    connector_id: OfConnector = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[MessageBatchRecord]:
    """A page of batches, newest first."""
    context, asked = info.context, window(first, after, last, before)
    key = ids.connector_key("connectorId", connector_id)
    viewer = context.require(Permission.READ_DATA)
    return await records.batches(context.database, viewer, key, asked)


async def quarantine(
    info: Info,
    connector_id: OfConnector = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[QuarantinedFrame]:
    """A page of quarantined frames, newest first."""
    context, asked = info.context, window(first, after, last, before)
    key = ids.connector_key("connectorId", connector_id)
    viewer = context.require(Permission.READ_DATA)
    return await records.quarantine(context.database, viewer, key, asked)


async def sequence_gaps(
    info: Info,
    connector_id: OfConnector = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[SequenceGap]:
    """A page of sequence gaps, newest first."""
    context, asked = info.context, window(first, after, last, before)
    key = ids.connector_key("connectorId", connector_id)
    viewer = context.require(Permission.READ_DATA)
    return await records.sequence_gaps(context.database, viewer, key, asked)


async def instruments(
    info: Info,
    filter: Annotated[
        InstrumentFilter | None, strawberry.argument(description="Which instruments; null: all.")
    ] = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Instrument]:
    """A page of instruments by exchange and name."""
    workspace_id = info.context.require(Permission.READ_DATA).workspace_id
    asked = messages.InstrumentFilter(workspace_id=workspace_id)
    if filter is not None:
        for name in ("exchanges", "names"):
            values = getattr(filter, name) or ()
            if len(values) > messages.FILTER_LIMIT:
                reason = f"at most {messages.FILTER_LIMIT} values"
                raise InvalidInput(field=f"filter.{name}", reason=reason)
            for at, text in enumerate(values):
                check_text(f"filter.{name}.{at}", text, 0, KEY_LIMIT)
        check_text("filter.search", filter.search or "", 0, KEY_LIMIT)
        asked = messages.InstrumentFilter(
            workspace_id=workspace_id,
            exchanges=frozenset(filter.exchanges or ()),
            names=frozenset(filter.names or ()),
            search=filter.search,
        )
    page = window(first, after, last, before)
    return await info.context.log.instruments(asked, page)


async def last_message(root: strawberry.Parent[Instrument], info: Info) -> Message | None:
    """The message an instrument's last price is of."""
    return await info.context.messages.load(root.last_message_id)


def detail(root: strawberry.Parent[Message]) -> MessageDetail | None:
    """The facts beyond price and quantity."""
    return messages.detail_of(root)


def frame_text(root: strawberry.Parent[QuarantinedFrame]) -> str | None:
    """A quarantined frame as text; None for a binary one."""
    try:
        return root.frame.decode()
    except UnicodeDecodeError:
        return None


def frame_base64(root: strawberry.Parent[QuarantinedFrame]) -> str:
    """A quarantined frame, byte by byte."""
    return base64.b64encode(root.frame).decode()


def batch_id(root: strawberry.Parent[SavedMessages]) -> str:
    """The global id of the batch that was stored."""
    return ids.global_id("MessageBatchRecord", root.batch_id)


def span(root: strawberry.Parent[MessageBatchRecord]) -> timedelta:
    """From a batch's first to its last message."""
    return root.last_received_at - root.first_received_at


async def save(
    info: Info,
    input: Annotated[SaveMessagesInput, strawberry.argument(description="What to save.")],
) -> SavedMessages:
    """Store a client's own messages."""
    context = info.context
    connector = await _writable(info, input.connector_id)
    new = [_new(f"messages.{at}", message) for at, message in enumerate(input.messages)]
    try:
        return await context.log.save(
            context.viewer, connector.id, connector.venue.value, new, input.idempotency_key
        )
    except NotFound as error:
        raise ConnectorNotFound(id=input.connector_id) from error


async def replay(
    info: Info,
    input: Annotated[ReplayQuarantineInput, strawberry.argument(description="What to read again.")],
) -> messages.ReplayedQuarantine:
    """Read quarantined frames again."""
    context = info.context
    connector = await _writable(info, input.connector_id)
    frames = None
    if input.ids is not None:
        if len(input.ids) > REPLAY_LIMIT:
            raise InvalidInput(field="ids", reason=f"at most {REPLAY_LIMIT}")
        frames = sorted(ids.uuids("ids", input.ids, "QuarantinedFrame"))
    try:
        return await context.services.quarantine.replay(context.viewer, connector.id, frames)
    except NotFound as error:
        raise ConnectorNotFound(id=input.connector_id) from error


def events(
    info: Info,
    filter: Filter = None,
    after: Annotated[
        Cursor | None,
        strawberry.argument(description="Go on after this place in the stream; null: begin now."),
    ] = None,
    delivery: Annotated[
        Delivery | None, strawberry.argument(description="How to deliver; null: EVERY.")
    ] = None,
) -> LiveStream[MessageEvent]:
    """The stream itself, so that the server can share it."""
    how = messages.Delivery()
    if delivery is not None:
        how = messages.Delivery(mode=delivery.mode, interval_ms=delivery.interval_ms)
    return info.context.services.feed.messages(
        info.context.viewer, _filter(info, filter), after, how
    )


async def _writable(info: Info, id: str) -> Connector:
    key = await connector_for(info.context, id, Permission.WRITE_DATA)
    async with info.context.database.read() as session:
        connector = await connectors.by_id(session, info.context.viewer, key)
    if connector is None:
        raise ConnectorNotFound(id=id)
    return connector


def _new(path: str, message: MessageInput) -> NewMessage:
    try:
        data = json.dumps(message.data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(field=f"{path}.data", reason="is not JSON") from error
    return NewMessage(
        instrument=message.instrument,
        type=message.type,
        exchange=message.exchange,
        price=message.price,
        quantity=message.quantity,
        side=message.side,
        sequence=message.sequence,
        event_time=message.event_time,
        data=data,
    )
