"""GraphiQL in a real browser that can reach nothing but this service."""

from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from tests.infra.web.sample import World, page, tick
from tests.infra.web.serving import application, served

CHROMIUM = Path("/usr/bin/chromium")
OFFLINE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
QUERY = "{ ticks { edges { node { instrument price } } } }"


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Chromium")
async def test_graphiql_works_offline_and_breaks_none_of_its_own_rules():
    world = World(ticks=page([tick()]))
    complaints: list[str] = []
    async with served(application(world)) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(OFFLINE))
        tab = await browser.new_page()
        tab.on("console", lambda line: line.type == "error" and complaints.append(line.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("requestfailed", lambda request: complaints.append(request.url))
        try:
            await tab.goto(f"{url}/")
            for example in ("LiveMessages", "LatestMessages", "Connectors"):
                await expect(tab.get_by_role("tab", name=example)).to_be_visible()
            # The editor's workers check the examples against this schema, which is another.
            await expect(tab.locator(".squiggly-error").first).to_be_visible(timeout=20_000)
            await tab.goto(f"{url}/graphql?query={QUERY}")
            await tab.get_by_role("button", name="Execute query").click()
            answer = tab.get_by_role("region", name="Result Window")
            await expect(answer).to_contain_text("0.1234567891234567", timeout=20_000)
        finally:
            await browser.close()
    assert complaints == []
