"""The audit as clients see it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from domain import audit
from resolvers import audit as resolvers
from schema.scalars import Long
from schema.views import Connection, field, plain, view, watched

if TYPE_CHECKING:
    from schema.types.identity.accounts import User
    from schema.types.identity.keys import ApiKey

_ACCOUNTS = strawberry.lazy("schema.types.identity.accounts")
_KEYS = strawberry.lazy("schema.types.identity.keys")


@view(audit.Change, "A field before and after.")
class AuditChange:
    field: str = plain("The field's name.")
    before: JSON | None = plain(
        "What it was: `***` for a secret, `(withheld)` for personal data; long text is cut."
    )
    after: JSON | None = plain("What it became, shown in the same way.")


@strawberry.type(
    description="Who did it; all null for the service itself, its operator, and callers who were not signed in."
)
class AuditActor:
    user_id: strawberry.ID | None = field(resolvers.user_id_of, "The user's id.")
    user: Annotated["User", _ACCOUNTS] | None = field(
        resolvers.user_of_event, "The user; null when they left."
    )
    api_key_id: strawberry.ID | None = field(resolvers.api_key_id_of, "The API key's id.")
    api_key: Annotated["ApiKey", _KEYS] | None = field(
        resolvers.api_key_of_event, "The API key; null when you may not see it."
    )
    session_id: strawberry.ID | None = field(resolvers.session_id_of, "The sign-in's id.")


@view(audit.AuditEvent, "One thing that somebody did. Events are only ever added.")
class AuditEvent(relay.Node):
    id: relay.NodeID[UUID]
    at: datetime = plain("When it was done.")
    sequence: Long | None = field(
        resolvers.sequence_of,
        "Its number: events of a workspace are numbered without holes; null for events of accounts.",
    )
    actor: AuditActor = field(resolvers.actor_of, "Who did it.")
    action: str = plain(
        "What was done: a mutation's name, `view:...` for looking at others' data, or a deed of the service."
    )
    outcome: audit.AuditOutcome = plain("How it ended.")
    code: str | None = plain("Why it was refused or failed.")
    subject_type: str | None = plain("The type of what it was done to.")
    subject_id: strawberry.ID | None = field(
        resolvers.subject_id_of, "The id of what it was done to."
    )
    changes: list[AuditChange] = field(resolvers.changes_of, "What changed by it.")
    address: str | None = plain("The network address it was done from.")
    agent: str | None = plain("The program it was done with, as that named itself.")
    request_id: str | None = plain("The request it was done by; also in the logs.")
    hash: str = field(
        resolvers.hash_of,
        "The event's seal: SHA-256 over it and the seal before it, in hexadecimal digits.",
    )


@strawberry.type
class AuditQuery:
    audit_events: Connection[AuditEvent] = watched(
        resolvers.page,
        "What was done in a workspace, newest first. Needs the permission to read the audit.",
    )
    account_events: Connection[AuditEvent] = field(
        resolvers.page_of_user,
        "What you did, in any workspace, and what was done to your account, newest first.",
    )
