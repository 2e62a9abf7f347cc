"""What a first user sees: the demo in a real browser, with no network but this machine."""

import re
import time
from pathlib import Path

from graphql import parse, validate
from playwright.async_api import Locator, Page, expect
from pyotp import TOTP

from domain.identity import registration, second_factor
from infra.postgres.database import Database
from infra.postgres.roles import ACCOUNTS
from infra.security.keys import new_key, read_key
from infra.security.vault import KeyVault
from infra.system import RandomIds, SystemClock
from schema.root import schema
from tests.browser import browsing, needs_chromium
from tests.doors import door
from tests.service import Service

EXAMPLES = Path(__file__).parents[2] / "infra/web/graphiql_src/src/examples.js"
TABS = ("LiveMessages", "LatestMessages", "Connectors", "AddConnector")
MISTAKE = ".squiggly-error"
PRICE = re.compile(r'"price":\s"[0-9.]+"')
PUBLISHED = re.compile(r'"publishedAt":\s("[^"]+")')

EMAIL, PASSWORD = "jo@example.com", "a password of Jo's"
STORED = "JSON.parse(sessionStorage.getItem('penstock.session'))"
EXPIRE = f"""(() => {{
  const session = {STORED};
  session.expiresAt = new Date().toISOString();
  sessionStorage.setItem("penstock.session", JSON.stringify(session));
}})()"""


async def a_person_with_a_second_factor(url: str, key: str) -> TOTP:
    entry = door(KeyVault([read_key(key)]), SystemClock(), RandomIds())
    hash = await entry.hasher.hash(PASSWORD)
    async with Database(url, pool_size=1, role=ACCOUNTS) as accounts, accounts.write() as session:
        user = await registration.new_user(
            session, entry, email=EMAIL, name="Jo", password_hash=hash, verified=True
        )
        enrolment = await second_factor.enrol(session, entry, user)
        codes = TOTP(enrolment.secret)
        earlier = codes.at(
            int(time.time()) - 30
        )  # a code is good once: the present one is for the page
        await second_factor.confirm(session, entry, user.id, None, earlier)
    return codes


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

        await page.get_by_role("button", name="Sign in as demo").first.click()
        await expect(page.get_by_text("demo@penstock.local")).to_be_visible()
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

        await page.reload()
        await expect(page.get_by_text("demo@penstock.local")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await execute(page)
        await expect(answer(page)).to_contain_text("UNAUTHENTICATED")
        await expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0
    assert tab.complaints == []
    assert tab.outside == []


@needs_chromium
async def test_people_sign_in_with_password_and_code_and_their_session_goes_on_in_the_next_token(
    tmp_path: Path, database_url: str
):
    key = new_key()
    codes = await a_person_with_a_second_factor(database_url, key)
    async with (
        Service(tmp_path, database_url=database_url, encryption_keys=key) as service,
        browsing() as tab,
    ):
        page = tab.page
        await page.goto(f"{service.url}/graphql?query={{ viewer {{ user {{ email }} }} }}")
        await expect(page.get_by_role("button", name="Sign in as demo")).to_have_count(0)
        await page.get_by_role("button", name="Sign in", exact=True).click()
        dialog = page.get_by_role("dialog", name="Sign in")
        await dialog.get_by_label("E-mail").fill(EMAIL)
        await dialog.get_by_label("Password").fill("not the password")
        await dialog.get_by_role("button", name="Sign in", exact=True).click()
        await expect(dialog.get_by_role("alert")).to_contain_text("No account has")
        await dialog.get_by_label("Password").fill(PASSWORD)
        await dialog.get_by_role("button", name="Sign in", exact=True).click()
        await dialog.get_by_label("Code").fill(codes.now())
        await dialog.get_by_role("button", name="Sign in", exact=True).click()
        await expect(page.get_by_text(EMAIL).first).to_be_visible()
        await execute(page)
        await expect(answer(page)).to_contain_text(EMAIL)

        before = await page.evaluate(STORED)
        await page.evaluate(EXPIRE)
        await page.reload()
        await execute(page)
        await expect(answer(page)).to_contain_text(EMAIL)
        after = await page.evaluate(STORED)
        assert after["refreshToken"] != before["refreshToken"]
    assert tab.complaints == []
    assert tab.outside == []


@needs_chromium
async def test_a_link_opens_its_query_and_the_editor_knows_the_schema(
    tmp_path: Path, database_url: str
):
    async with Service(tmp_path, database_url=database_url) as service, browsing() as tab:
        page = tab.page
        await page.goto(f"{service.url}/graphql?query={{ signInProviders }}")
        await execute(page)
        await expect(answer(page)).to_contain_text("signInProviders")
        await expect(page.locator(MISTAKE)).to_have_count(0)
        other = await page.context.new_page()
        await other.goto(f"{service.url}/graphql?query={{ nonsense }}")
        await expect(other.locator(MISTAKE).first).to_be_visible()
    assert tab.complaints == []
    assert tab.outside == []
