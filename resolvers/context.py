"""What a resolver may reach: the viewer, the services, the loaders."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import strawberry

from domain.connectors import ConnectorChecks, StatusFeed, Switchboard, Vault, Workshop
from domain.identity import Viewer
from domain.messages import Feed, MessageLog, Prober, QuarantineReplay
from domain.ports import Clock, Database, Ids
from domain.storage import StorageInspector
from resolvers.loaders import ConnectorLoader, MessageLoader, StatusLoader


class LiveFeed(Feed, StatusFeed, Protocol):
    """Everything that can be followed live."""


@dataclass(frozen=True, slots=True)
class Services:
    """The ports of one process, built once by the composition root."""

    database: Database
    log: MessageLog
    feed: LiveFeed
    vault: Vault
    clock: Clock
    ids: Ids
    switchboard: Switchboard
    checks: ConnectorChecks
    prober: Prober
    quarantine: QuarantineReplay
    storage: StorageInspector

    def context(self, viewer: Viewer, request_id: str) -> "Context":
        """A context for one operation, or for one event of a subscription."""
        return Context(viewer=viewer, services=self, request_id=request_id)


@dataclass
class Context:
    """One operation's viewer and services; its loaders batch but never cache, so a socket may keep it."""

    viewer: Viewer
    services: Services
    request_id: str

    @cached_property
    def connectors(self) -> ConnectorLoader:
        """Connectors by id."""
        return ConnectorLoader(self.services.database, self.viewer)

    @cached_property
    def statuses(self) -> StatusLoader:
        """Statuses by connector id."""
        return StatusLoader(self.services.database, self.viewer)

    @cached_property
    def messages(self) -> MessageLoader:
        """Messages by id."""
        return MessageLoader(self.services.log, self.viewer)

    @property
    def workshop(self) -> Workshop:
        """What making and changing connectors takes."""
        services = self.services
        return Workshop(services.vault, services.checks, services.clock, services.ids)


Info = strawberry.Info[Context, None]
