"""Rights given or taken away while their owners are connected."""

from dataclasses import dataclass
from uuid import UUID

from domain.identity.viewer import Viewer


@dataclass(frozen=True, slots=True)
class RightsChange:
    """What changed: the narrowest of key, session, user and workspace that is given; all None: anything may have."""

    user_id: UUID | None = None
    session_id: UUID | None = None
    api_key_id: UUID | None = None
    workspace_id: UUID | None = None

    def concerns(self, viewer: Viewer) -> bool:
        """Whether this viewer's rights may be others by now."""
        if self.api_key_id is not None:
            return viewer.api_key_id == self.api_key_id
        if self.session_id is not None:
            return viewer.session_id == self.session_id
        if self.workspace_id is not None and viewer.workspace_id != self.workspace_id:
            return False
        # A key does not say who made it, and may end with them.
        return self.user_id is None or viewer.user_id in (self.user_id, None)
