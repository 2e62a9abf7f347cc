"""Whether a viewer may write to a connector: asked of the database, because the writer itself acts for nobody."""

from uuid import UUID

import asyncpg

from domain.errors import NotFound
from domain.identity import Forbidden, Permission, Viewer
from infra.postgres.database import Connection

_SECONDS = 30.0
_CONNECTOR = """
    select url, venue, mapping, sealed,
        workspace_id = any(penstock_workspaces('write_data'))
            or id = any(penstock_shared('connector', 'write')) as writable
    from connectors where id = $1 and workspace_id = $2
"""


async def writable(connection: Connection, viewer: Viewer, connector_id: UUID) -> asyncpg.Record:
    """The connector, on a connection of the viewer's; raises NotFound, Forbidden."""
    found = await connection.fetchrow(
        _CONNECTOR, connector_id, viewer.workspace_id, timeout=_SECONDS
    )
    if found is None:
        raise NotFound(field="connectorId", id=str(connector_id))
    if not found["writable"]:
        raise Forbidden(needed=Permission.WRITE_DATA.value)
    return found
