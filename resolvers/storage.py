"""What the database holds."""

from domain.identity import Permission
from domain.storage import Storage
from resolvers.context import Info


async def storage(info: Info) -> Storage:
    """The database as it is now."""
    return await info.context.services.storage.storage(info.context.require(Permission.READ_DATA))
