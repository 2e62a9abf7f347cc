"""What clients send about the audit."""

from datetime import datetime

import strawberry

from domain.audit import AuditOutcome


@strawberry.input(description="Which events: all conditions that are given must hold.")
class AuditEventFilter:
    """Conditions on events."""

    actions: list[str] | None = strawberry.field(
        default=None, description="What was done: mutations' names, or others such as `useSecret`."
    )
    actor_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Done by one of these users or API keys."
    )
    subject_type: str | None = strawberry.field(
        default=None, description="Done to an object of this type, such as `Connector`."
    )
    subject_id: strawberry.ID | None = strawberry.field(
        default=None, description="Done to this object."
    )
    outcomes: list[AuditOutcome] | None = strawberry.field(
        default=None, description="With one of these outcomes."
    )
    since: datetime | None = strawberry.field(default=None, description="Not before this time.")
    until: datetime | None = strawberry.field(default=None, description="Before this time.")
