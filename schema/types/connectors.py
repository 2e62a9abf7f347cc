"""Connectors as clients see them."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from domain import connectors, messages
from resolvers import connectors as resolvers
from resolvers import messages as message_resolvers
from schema.errors import (
    AddressRefused,
    ConnectorLimitReached,
    ConnectorNameTaken,
    ConnectorNotFound,
    InvalidInput,
    NoFieldsToUpdate,
    StaleVersion,
    mutation,
)
from schema.scalars import Long
from schema.views import Connection, field, plain, subscription, view

if TYPE_CHECKING:
    from schema.types.messages import (
        MessageBatchRecord,
        MessageConnection,
        ProbedMessage,
        QuarantinedFrame,
        SequenceGap,
    )

_MESSAGES = strawberry.lazy("schema.types.messages")


@view(connectors.ConnectorStatus, "How a connector is doing, as its process last reported.")
class ConnectorStatus:
    connector_id: strawberry.ID = field(resolvers.connector_id_of, "The connector's id.")
    connector: Annotated["Connector", strawberry.lazy("schema.types.connectors")] | None = field(
        resolvers.connector_of, "The connector; null when it was deleted."
    )
    state: connectors.ConnectorState = plain("Where the connector is in its life.")
    since: datetime = plain("When it entered this state.")
    last_message_at: datetime | None = plain("When its last message was received.")
    last_error: str | None = plain("What went wrong last, without any secret.")
    last_error_at: datetime | None = plain("When that was.")
    message_count: Long = plain("Messages stored since it was created.")
    quarantined_count: Long = plain("Frames that could not be understood.")
    duplicate_count: Long = plain("Messages recognised as sent twice, and stored once.")
    gap_count: Long = plain("Holes in the venue's sequence numbers.")
    shed_count: Long = plain("Messages given up while the database could not be reached.")
    reconnect_count: int = plain("How often it connected again.")
    message_rate: float = plain("Messages a second, lately.")
    delay_p50_ms: float | None = plain(
        "Median milliseconds from the venue's own time to storage, lately."
    )
    delay_p95_ms: float | None = plain(
        "95th percentile of milliseconds from the venue's own time to storage, lately."
    )
    leased_by: UUID | None = plain("The ingest process that runs it.")
    leased_until: datetime | None = plain("When that process's claim ends unless it renews it.")


@view(connectors.Reference, "A field of a connector that takes the value of a named secret.")
class SecretReference:
    field: str = plain("Which field, such as `apiKey` or `headers.X-Key`.")
    secret: str = plain("The secret's name.")


@view(connectors.Connector, "A source that Penstock polls or streams.")
class Connector(relay.Node):
    id: relay.NodeID[UUID]
    name: str = plain("Its name, unique in the workspace.")
    url: str = plain("Where the source is.")
    protocol: connectors.ConnectorProtocol = plain("How it is read.")
    venue: connectors.Venue = plain("Whose formats it speaks.")
    enabled: bool = plain("Whether it is meant to run, also after a restart.")
    state: connectors.ConnectorState = field(
        resolvers.state_of, "Where it is in its life; the same as `status.state`."
    )
    status: ConnectorStatus | None = field(resolvers.status_of, "How it is doing.")
    method: connectors.HttpMethod = plain("The HTTP method of a poll.")
    body: str | None = plain("The body of a poll.")
    polling_interval_ms: int | None = plain("Milliseconds between polls; null for WebSockets.")
    subscribe_frames: list[str] = plain("Text frames sent on every connect.")
    stale_after_ms: int = plain("Milliseconds of silence after which it counts as stale.")
    mapping: JSON | None = plain("Where a CUSTOM source's JSON has what.")
    auth_type: connectors.AuthType = plain("How requests are authenticated.")
    signing: JSON | None = plain("The recipe of an HMAC signature.")
    secret_fields: list[str] = plain(
        "Which secrets are set, such as `apiKey` or `headers.X-Key`; their values never come back."
    )
    secret_references: list[SecretReference] = field(
        resolvers.references_of, "Which of them are named secrets of the workspace."
    )
    version: int = plain("Grows with every change; for `expectedVersion`.")
    created_at: datetime = plain("When it was created.")
    updated_at: datetime = plain("When its configuration was last changed.")
    messages: Annotated["MessageConnection", _MESSAGES] = field(
        message_resolvers.page_of, "Its messages."
    )
    batches: Connection[Annotated["MessageBatchRecord", _MESSAGES]] = field(
        resolvers.batches_of, "Its stored batches, newest first."
    )
    quarantine: Connection[Annotated["QuarantinedFrame", _MESSAGES]] = field(
        resolvers.quarantine_of, "Its frames that could not be understood, newest first."
    )
    sequence_gaps: Connection[Annotated["SequenceGap", _MESSAGES]] = field(
        resolvers.sequence_gaps_of, "Holes in its venue's sequence numbers, newest first."
    )


@view(connectors.DeletedConnector, "A connector that is gone; its messages stay until retention.")
class DeletedConnector:
    id: strawberry.ID = field(resolvers.connector_id_of, "The id it had.")
    name: str = plain("The name it had.")


@view(messages.Probe, "What a test of a connector saw. Nothing of it is stored.")
class ConnectorTest:
    ok: bool = plain("Whether a first message came within 10 seconds.")
    duration_ms: float = plain("How long it took, in milliseconds.")
    frame: str | None = plain("The first raw frame as text: at most its first 65,536 characters.")
    frame_bytes: int | None = plain("How large that frame was.")
    messages: list[Annotated["ProbedMessage", _MESSAGES]] = plain(
        "The messages it became, at most 100."
    )
    message_count: int = plain("How many messages it became.")
    error: str | None = plain("What went wrong, without any secret.")


CreateConnectorResult = Annotated[
    Connector | InvalidInput | ConnectorNameTaken | ConnectorLimitReached | AddressRefused,
    strawberry.union(
        "CreateConnectorResult", description="The new connector, or why there is none."
    ),
]
UpdateConnectorResult = Annotated[
    Connector
    | InvalidInput
    | ConnectorNotFound
    | ConnectorNameTaken
    | NoFieldsToUpdate
    | StaleVersion
    | AddressRefused,
    strawberry.union(
        "UpdateConnectorResult", description="The changed connector, or why it was not changed."
    ),
]
DeleteConnectorResult = Annotated[
    DeletedConnector | ConnectorNotFound,
    strawberry.union(
        "DeleteConnectorResult", description="The deleted connector, or why it was not deleted."
    ),
]
StartConnectorResult = Annotated[
    Connector | ConnectorNotFound,
    strawberry.union(
        "StartConnectorResult", description="The started connector, or why it was not started."
    ),
]
StopConnectorResult = Annotated[
    Connector | ConnectorNotFound,
    strawberry.union(
        "StopConnectorResult", description="The stopped connector, or why it was not stopped."
    ),
]
TestConnectorResult = Annotated[
    ConnectorTest | InvalidInput | ConnectorNotFound | NoFieldsToUpdate | AddressRefused,
    strawberry.union(
        "TestConnectorResult", description="What the test saw, or why nothing was tested."
    ),
]


@strawberry.type
class ConnectorQuery:
    connectors: Connection[Connector] = field(resolvers.page, "Connectors, oldest first.")


@strawberry.type
class ConnectorMutation:
    create_connector: CreateConnectorResult = mutation(
        resolvers.create, "Create a connector; it runs once it is started."
    )
    update_connector: UpdateConnectorResult = mutation(
        resolvers.update, "Change a connector; a running one reconnects with its new configuration."
    )
    delete_connector: DeleteConnectorResult = mutation(
        resolvers.delete, "Stop and delete a connector with its secrets."
    )
    start_connector: StartConnectorResult = mutation(
        resolvers.start, "Have a connector run, now and after every restart."
    )
    stop_connector: StopConnectorResult = mutation(
        resolvers.stop, "Have a connector rest until it is started again."
    )
    test_connector: TestConnectorResult = mutation(
        resolvers.test,
        "Fetch once, or listen for up to 10 seconds, and show what came; nothing is stored.",
    )


@strawberry.type
class ConnectorSubscription:
    connector_status: AsyncGenerator[ConnectorStatus, None] = subscription(
        resolvers.statuses,
        "How connectors are doing: first as they are now, then on every change.",
    )
