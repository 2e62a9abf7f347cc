"""What a viewer may do to one connector: by their role or key, or by a group that it is shared with."""

from uuid import UUID

from domain import connectors
from domain.connectors import ConnectorNotFound
from domain.identity import Access, Forbidden, Permission, ResourceKind, access_to
from resolvers import ids
from resolvers.context import Context


async def connector_for(context: Context, id: str, needed: Permission) -> UUID:
    """The key of a connector that the viewer may change, by the permission or by a WRITE share.

    Raises ConnectorNotFound for one that they do not see, Forbidden for one that they only see.
    """
    viewer = context.require(Permission.READ_DATA)
    key = ids.uuid_in(id, "Connector")
    if key is None:
        raise ConnectorNotFound(id=id)
    if viewer.may(needed):
        return key
    async with context.database.read() as session:
        if await connectors.by_id(session, viewer, key) is None:
            raise ConnectorNotFound(id=id)
        shared = await access_to(session, viewer, ResourceKind.CONNECTOR, key)
    if shared is not Access.WRITE:
        raise Forbidden(needed=needed.value)
    return key
