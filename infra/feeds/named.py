"""Named secrets for the connectors that refer to them: opened where they are used, and every use written down."""

from collections.abc import Iterable, Sequence

from sqlmodel import col, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.audit import Deed
from domain.connectors import Connector, Secrets, Vault, check_secrets, filled, origin_of
from domain.errors import InvalidInput
from domain.identity import Act, AuditLog
from domain.ports import Clock, Database
from domain.secrets import Secret, opened


class NamedSecrets:
    """Implements `domain.connectors.SecretOpener` over all workspaces, as the service itself."""

    def __init__(self, database: Database, vault: Vault, audit: AuditLog, clock: Clock) -> None:
        self._database = database
        self._vault = vault
        self._audit = audit
        self._clock = clock

    async def opened(self, connector: Connector, own: Secrets, act: Act) -> Secrets:
        """A connector's own secrets with those it refers to; the use is the act's. Raises InvalidInput."""
        if not connector.secret_references:
            return own
        async with self._database.read() as session:
            found = await named_secrets(session, connector)
        whole = self.filled(connector, own, found)
        await self.note_use(connector, found, act)
        return whole

    def filled(self, connector: Connector, own: Secrets, found: Sequence[Secret]) -> Secrets:
        """Its own secrets with the values of those found; raises InvalidInput, which never quotes a value."""
        values = {}
        for secret in found:
            try:
                values[secret.name] = opened(self._vault, secret)
            except ValueError:
                raise _unusable(connector, secret.name, "no key of the ring opens") from None
        for name in connector.secret_references.values():
            if name not in values:
                raise _unusable(connector, name, "does not exist")
        whole = filled(own, connector.secret_references, values)
        check_secrets(connector.auth_type, whole, connector.venue)
        return whole

    async def note_use(self, connector: Connector, found: Sequence[Secret], act: Act) -> None:
        """Write down that these secrets now go to the connector's host."""
        for secret in found:
            await self._audit.write(act, _use(connector, secret))
        used = update(Secret).where(col(Secret.id).in_([secret.id for secret in found]))
        async with self._database.write() as session:
            now = self._clock.now()
            latest = func.greatest(col(Secret.last_used_at), now)
            await session.exec(used.values(last_used_at=latest))


async def named_secrets(session: AsyncSession, connector: Connector) -> Sequence[Secret]:
    """What a connector refers to, of what exists, by id."""
    if not connector.secret_references:
        return []
    names = set(connector.secret_references.values())
    found = await session.exec(
        select(Secret)
        .where(col(Secret.workspace_id) == connector.workspace_id, col(Secret.name).in_(names))
        .order_by(col(Secret.id))
    )
    return found.all()


def versions_of(found: Iterable[Secret]) -> str:
    """Which secrets these are, at which versions: another text, another value. As the leases' query has it."""
    return ",".join(f"{secret.id}:{secret.version}" for secret in found)


def _use(connector: Connector, secret: Secret) -> Deed:
    return Deed(
        "useSecret",
        workspace_id=secret.workspace_id,
        subject_type="Secret",
        subject_id=str(secret.id),
        facts={
            "name": secret.name,
            "version": secret.version,
            "connector": str(connector.id),
            "host": origin_of(connector.url)[1],
        },
    )


def _unusable(connector: Connector, name: str, why: str) -> InvalidInput:
    field = next(at for at, to in connector.secret_references.items() if to == name)
    return InvalidInput(field=f"secretReferences.{field}", reason=f"refers to {name}, which {why}")
