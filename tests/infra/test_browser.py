"""What a first user sees: the demo in a real browser, with no network but this machine."""

import re
from pathlib import Path

from graphql import parse, validate
from playwright.async_api import Locator, Page, expect

from schema.root import schema
from tests.browser import browsing, needs_chromium
from tests.service import Service

EXAMPLES = Path(__file__).parents[2] / "infra/web/graphiql_src/src/examples.js"
TABS = ("LiveMessages", "LatestMessages", "Connectors", "AddConnector")
MISTAKE = ".squiggly-error"
PRICE = re.compile(r'"price":\s"[0-9.]+"')
PUBLISHED = re.compile(r'"publishedAt":\s("[^"]+")')


def answer(page: Page) -> Locator:
    return page.get_by_role("region", name="Result Window")


async def execute(page: Page) -> None:
    """Run the document once it can be seen: a click before that is lost."""
    await expect(page.locator(".graphiql-query-editor .view-line").first).to_be_visible()
    await page.get_by_role("button", name="Execute query").click()


async def switch(page: Page, name: str) -> None:
    """To another tab, once GraphiQL knows its operation: it looks 100 ms after the last change."""
    await page.get_by_role("tab", name=name).click()
    await page.evaluate("new Promise((done) => setTimeout(done, 500))")


def test_every_example_is_valid():
    examples = re.findall(r"`([^`]+)`", EXAMPLES.read_text())
    assert len(examples) == len(TABS)
    for name, example in zip(TABS, examples, strict=True):
        assert name in example
        assert validate(schema._schema, parse(example)) == []
        comments = [line for line in example.splitlines() if line.startswith("#")]
        assert comments
        assert max(map(len, comments)) <= 58, "longer ones run under the buttons"


@needs_chromium
async def test_the_demo_shows_rows_and_live_ticks_offline(tmp_path: Path, database_url: str):
    async with (
        Service(tmp_path, "--demo", database_url=database_url) as service,
        browsing() as tab,
    ):
        page = tab.page
        await page.goto(f"{service.url}/")
        assert page.url == f"{service.url}/graphql"
        for name in TABS:
            await expect(page.get_by_role("tab", name=name)).to_be_visible()

        await execute(page)
        await expect(answer(page)).to_contain_text(PRICE)
        first = PUBLISHED.search(await answer(page).inner_text())
        assert first is not None
        await expect(answer(page)).not_to_contain_text(first[1])
        await expect(answer(page)).to_contain_text(PRICE)
        await page.get_by_role("button", name="Stop query").click()

        await switch(page, "LatestMessages")
        await expect(answer(page)).not_to_contain_text("publishedAt")
        await execute(page)
        await expect(answer(page)).to_contain_text('"eventTime"')
        await expect(answer(page)).to_contain_text(PRICE)

        await switch(page, "Connectors")
        await expect(answer(page)).not_to_contain_text('"eventTime"')
        await execute(page)
        await expect(answer(page)).to_contain_text('"state": "RUNNING"')
    assert tab.complaints == []
    assert tab.outside == []


@needs_chromium
async def test_a_link_opens_its_query_and_the_editor_knows_the_schema(
    tmp_path: Path, database_url: str
):
    async with Service(tmp_path, database_url=database_url) as service, browsing() as tab:
        page = tab.page
        await page.goto(f"{service.url}/graphql?query={{ storage {{ serverVersion }} }}")
        await execute(page)
        await expect(answer(page)).to_contain_text("serverVersion")
        await expect(page.locator(MISTAKE)).to_have_count(0)
        other = await page.context.new_page()
        await other.goto(f"{service.url}/graphql?query={{ storage {{ nonsense }} }}")
        await expect(other.locator(MISTAKE).first).to_be_visible()
    assert tab.complaints == []
    assert tab.outside == []
