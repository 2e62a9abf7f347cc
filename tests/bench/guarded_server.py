"""Serves the API as users have it, or without its guards: nobody signs in, no row is hidden, nothing is counted."""

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import uvloop

from domain.identity import ALL, Act, Viewer
from infra import app, logs
from infra.identity import identity
from infra.parts import shared_parts
from infra.postgres.tenancy import Bound, Tenancy
from infra.settings import load_settings
from infra.startup import listen
from infra.web.entrance import Entrance
from tests.infra.web.serving import Anybody


class Open(Tenancy):
    """The database as its owner sees it, whoever asks: row-level security does not bind the login role."""

    def of(self, act: Act) -> Bound:
        return Bound(self._api, None, act)

    def seen_by(self, viewer: Viewer) -> Bound:
        return Bound(self._api, None, None)


async def main(mode: str, user: str, workspace: str) -> None:
    """Print the port, and serve until stdin ends."""
    settings = load_settings(rate_limits=mode == "guarded")
    logs.configure(settings.log_level, settings.log_format, settings.slow_operation_ms)
    async with AsyncExitStack() as stack:
        listener = listen("127.0.0.1", 0)
        stack.callback(listener.close)
        parts = await shared_parts(stack, settings)
        who = await identity(stack, parts, parts.tenancy)
        if mode != "guarded":
            viewer = Viewer(UUID(workspace), user_id=UUID(user), permissions=ALL)
            who = replace(who, entrance=Entrance(Anybody(viewer)))
            accounts: Any = parts.tenancy.databases["accounts"]
            parts = replace(parts, tenancy=Open(parts.database, accounts))
        await app._serve(stack, parts, who, listener)
        print(listener.getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
