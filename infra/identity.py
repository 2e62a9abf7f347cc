"""Who comes in, put together: access tokens and their keys, the entrance, and the watch on rights."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from loguru import logger
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.identity import Act, Caller, Databases, Door
from domain.ports import Database
from infra.mail.mailers import mailer_of
from infra.mail.post import Posting
from infra.parts import Parts
from infra.postgres.database import connector
from infra.postgres.rights_watch import RightsWatch
from infra.postgres.uses import Uses
from infra.security.door import build_door
from infra.security.passwords import PasswordHashes
from infra.security.tokens import AccessTokens, access_tokens
from infra.settings import Settings
from infra.startup import CannotRun
from infra.web.authentication import Authenticator
from infra.web.entrance import Entrance
from infra.web.health import Check

ISSUER: Final = "penstock"
"""Of tokens while no public URL is set: the same in every process, whatever it listens on."""

HEAR_SECONDS: Final = 5.0
JWKS_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process has to tell who calls."""

    tokens: AccessTokens
    entrance: Entrance
    door: Door
    post: Posting
    authenticator: Authenticator

    @property
    def checks(self) -> dict[str, Check]:
        """What of it can be away."""

        async def rights() -> None:
            if not self.authenticator.hears_changes:
                raise ConnectionError("changes of rights are not heard")

        return {"token keys": self.tokens.check, "rights": rights}

    async def jwks(self, request: Request) -> Response:
        """`/.well-known/jwks.json`: the keys that access tokens are verified with."""
        keys = await self.tokens.jwks()
        headers = {"cache-control": f"public, max-age={JWKS_SECONDS}"}
        return JSONResponse(keys, headers=headers, media_type="application/jwk-set+json")


def issuer(settings: Settings) -> str:
    """Who issues this service's tokens."""
    return settings.public_url or ISSUER


async def identity(stack: AsyncExitStack, parts: Parts, databases: Databases) -> Identity:
    """Tokens that can be issued and verified, and an entrance that hears of changed rights while the stack lasts."""
    accounts = databases.accounts(Act(Caller(None, "identity")))
    tokens = await _tokens(parts, accounts)
    uses = Uses(accounts, parts.clock)
    authenticator = Authenticator(accounts, tokens, parts.clock, uses)
    entrance = Entrance(authenticator)

    def hearing(on: bool) -> None:
        authenticator.hears_changes = on

    watch = RightsWatch(
        connector(parts.database.url, application_name="penstock rights"),
        entrance.changed,
        hearing,
    )
    await _background(stack, watch.run(), "rights watch")
    looking = entrance.look_around(lambda: not authenticator.hears_changes)
    await _background(stack, looking, "rights rounds")
    try:
        async with asyncio.timeout(HEAR_SECONDS):
            await watch.started()
    except TimeoutError:
        logger.warning("Changes of rights are not heard yet; every request is looked up")
    stack.push_async_callback(uses.write)
    await _background(stack, uses.run(), "last uses")
    door, post = await _door(stack, parts, tokens)
    return Identity(tokens, entrance, door, post, authenticator)


async def _tokens(parts: Parts, accounts: Database) -> AccessTokens:
    settings = parts.settings
    try:
        tokens = access_tokens(
            settings, accounts, parts.vault, parts.clock, parts.ids, issuer(settings)
        )
    except ValueError as error:
        raise CannotRun(str(error)) from None
    await tokens.start()
    return tokens


async def _door(stack: AsyncExitStack, parts: Parts, tokens: AccessTokens) -> tuple[Door, Posting]:
    settings, hashes = parts.settings, PasswordHashes()
    stack.callback(hashes.close)
    post = Posting(mailer_of(settings, parts.clock))
    await post.start()
    stack.push_async_callback(post.close)
    door = build_door(settings, hashes, tokens, post, parts.vault, parts.clock, parts.ids)
    return door, post


async def _background(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=5)

    stack.push_async_callback(end)
