"""What a resolver may reach: the caller, the services, the loaders."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import strawberry

from domain.audit import Trail
from domain.connectors import (
    ConnectorChecks,
    SecretOpener,
    StatusFeed,
    Switchboard,
    Vault,
    Workshop,
)
from domain.identity import (
    Act,
    AuditLog,
    Caller,
    Databases,
    Door,
    Forbidden,
    Permission,
    Unauthenticated,
    Viewer,
)
from domain.messages import Feed, Logs, MessageLog, Prober, QuarantineReplay
from domain.ports import Clock, Database, Ids
from domain.storage import StorageInspector
from resolvers.identity.loaders import GroupLoader, StandingLoader, UserLoader, WorkspaceLoader
from resolvers.loaders import ConnectorLoader, MessageLoader, StatusLoader


class LiveFeed(Feed, StatusFeed, Protocol):
    """Everything that can be followed live."""


@dataclass(frozen=True, slots=True)
class Services:
    """The ports of one process, built once by the composition root."""

    databases: Databases
    logs: Logs
    feed: LiveFeed
    vault: Vault
    clock: Clock
    ids: Ids
    switchboard: Switchboard
    named_secrets: SecretOpener
    checks: ConnectorChecks
    prober: Prober
    quarantine: QuarantineReplay
    storage: StorageInspector
    audit: AuditLog
    door: Door
    sign_in_providers: tuple[str, ...] = ()

    def context(self, caller: Caller) -> "Context":
        """A context for one operation, or for one event of a subscription."""
        return Context(caller=caller, services=self)


@dataclass
class Context:
    """One operation's caller and services; its loaders batch but never cache, so a socket may keep it.

    `action` is the mutation that runs now, for the audit, and `trail` what it has left there. Whatever reads `viewer`,
    `database` or a loader refuses callers who are not signed in: a field is open to all only when it touches none of
    them.
    """

    caller: Caller
    services: Services
    action: str | None = None
    trail: Trail = field(default_factory=Trail)

    def begin(self, action: str) -> None:
        """Say which mutation runs from now on."""
        self.action, self.trail = action, Trail()

    @property
    def viewer(self) -> Viewer:
        """Who asks; raises Unauthenticated when nobody is signed in."""
        if self.caller.viewer is None:
            raise Unauthenticated
        return self.caller.viewer

    def require(self, permission: Permission) -> Viewer:
        """The viewer, who may do this in the workspace they act in; raises Unauthenticated, Forbidden."""
        viewer = self.viewer
        if not viewer.may(permission):
            raise Forbidden(needed=permission.value)
        return viewer

    @property
    def act(self) -> Act:
        """The caller and what they are doing."""
        return Act(self.caller, self.action, self.trail)

    @property
    def database(self) -> Database:
        """The database as the viewer may see and change it; raises Unauthenticated."""
        return self.services.databases.of(self.act)

    @property
    def accounts(self) -> Database:
        """The tables of identity, as the service itself sees them: for what needs no viewer's rights."""
        return self.services.databases.accounts(self.act)

    @property
    def log(self) -> MessageLog:
        """The stored stream as the viewer may see it; raises Unauthenticated."""
        return self.services.logs.of(self.act)

    @cached_property
    def connectors(self) -> ConnectorLoader:
        """Connectors by id."""
        return ConnectorLoader(self.database, self.viewer)

    @cached_property
    def statuses(self) -> StatusLoader:
        """Statuses by connector id."""
        return StatusLoader(self.database, self.viewer)

    @cached_property
    def messages(self) -> MessageLoader:
        """Messages by id."""
        return MessageLoader(self.log, self.viewer)

    @cached_property
    def users(self) -> UserLoader:
        """Users by id."""
        return UserLoader(self.database, self.viewer)

    @cached_property
    def workspaces(self) -> WorkspaceLoader:
        """Workspaces by id."""
        return WorkspaceLoader(self.database, self.viewer)

    @cached_property
    def groups(self) -> GroupLoader:
        """Groups by id."""
        return GroupLoader(self.database, self.viewer)

    @cached_property
    def standings(self) -> StandingLoader:
        """What the viewer is in workspaces, by workspace id."""
        return StandingLoader(self.accounts, self.viewer)

    @property
    def workshop(self) -> Workshop:
        """What making and changing connectors takes."""
        services = self.services
        return Workshop(services.vault, services.checks, services.clock, services.ids)


Info = strawberry.Info[Context, None]
