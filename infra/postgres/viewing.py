"""Connections whose transactions begin as somebody: who it is goes with BEGIN, in the same round trip."""

from typing import Any
from uuid import UUID

import asyncpg

from domain.identity import Viewer


class ViewingConnection(asyncpg.Connection):
    """A connection of the API's role. Outside a transaction that began as somebody it sees nobody's rows.

    It keeps nothing between transactions, so that a pool need not reset it.
    """

    __slots__ = ("_viewer",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._viewer = ""

    def begin_as(self, settings: str) -> None:
        """Have transactions begin with these settings (of `settings_of`) from now on; none when empty."""
        self._viewer = settings

    async def execute(
        self,
        query: str,
        *arguments: Any,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> str:
        """As asyncpg's; a BEGIN sets the viewer too."""
        if self._viewer and not arguments and query.startswith("BEGIN"):
            query += self._viewer
        return await super().execute(query, *arguments, timeout=timeout)

    def get_reset_query(self) -> str:
        """Nothing: the viewer's settings end with their transaction."""
        return ""


def settings_of(viewer: Viewer) -> str:
    """SQL that tells a transaction who asks; what they may do follows from the tables, not from here."""
    settings: dict[str, UUID | str] = {}
    if viewer.delegate:
        settings |= {"delegate": "true", "workspace_id": UUID(str(viewer.workspace_id))}
    elif viewer.user_id is not None:
        settings["user_id"] = UUID(str(viewer.user_id))
    elif viewer.api_key_id is not None:
        settings["api_key_id"] = UUID(str(viewer.api_key_id))
    return "".join(f"SET LOCAL penstock.{name} = '{value}';" for name, value in settings.items())
