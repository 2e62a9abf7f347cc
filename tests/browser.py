"""Headless Chromium that can reach this machine alone, and what it complained about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    ConsoleMessage,
    Page,
    Response,
    Route,
    WebSocketRoute,
    async_playwright,
    expect,
)

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
SECONDS = 20.0
REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));"""

expect.set_options(timeout=SECONDS * 1000)
needs_chromium = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"needs Chromium at {CHROMIUM}: apt-get install chromium"
)


@dataclass
class Tab:
    """A page, with what went wrong on it and its siblings, and what they wanted of other machines."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    async def watch(self) -> None:
        """Note errors, failed requests and breaches of the page's policy; let nothing out."""
        self.page.set_default_timeout(SECONDS * 1000)
        context = self.page.context
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("requestfailed", lambda request: self.complaints.append(f"lost {request.url}"))
        context.on("response", self._check)
        await context.add_init_script(REPORT_VIOLATIONS)
        await context.route(_is_outside, self._refuse)
        await context.route_web_socket(_is_outside, self._refuse_socket)

    def _hear(self, line: ConsoleMessage) -> None:
        if line.type == "error":
            self.complaints.append(line.text)

    def _check(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")

    async def _refuse(self, route: Route) -> None:
        self.outside.append(route.request.url)
        await route.abort()

    async def _refuse_socket(self, socket: WebSocketRoute) -> None:
        self.outside.append(socket.url)
        await socket.close()


@asynccontextmanager
async def browsing() -> AsyncIterator[Tab]:
    """A watched tab of a fresh browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            context = await browser.new_context(viewport={"width": 1400, "height": 900})
            tab = Tab(await context.new_page())
            await tab.watch()
            yield tab
        finally:
            await browser.close()


def _is_outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname != "127.0.0.1"
