"""Why an account is neither closed nor deleted."""

import strawberry

from domain.identity import ownership
from schema.errors.base import Error
from schema.errors.codes import ErrorCode
from schema.views import plain


@strawberry.type(
    description="Workspaces with other members would be left without an owner: hand them over or delete them first."
)
class SoleOwner(Error):
    """An owner whom others need."""

    __source__ = ownership.SoleOwner
    __code__ = ErrorCode.SOLE_OWNER
    __says__ = "Hand over or delete the workspaces that only you own first."
    workspace_ids: list[strawberry.ID] = plain("The workspaces.")
