"""No secret that was given ever comes back: not in a result, an error, a log line or a row."""

import base64
import json
import logging
import string
from typing import Any
from urllib.parse import quote, quote_plus

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loguru import logger

from tests.resolvers.world import FACTS, FAULT, TEST, World, echo

SINGLE = ("apiKey", "apiSecret", "passphrase", "bearerToken", "username", "password")
NEEDS = {"NONE": None, "API_KEY": "apiKey", "BEARER": "bearerToken", "BASIC": "username"}

# Long enough that no secret stands in an answer by chance.
values = st.text(string.ascii_letters + string.digits + "-_.~+/=", min_size=12, max_size=40)
names = st.sampled_from(["X-Key", "X-Token", "Authorization-2"])
pairs = st.lists(
    st.fixed_dictionaries({"name": names, "value": values}),
    max_size=2,
    unique_by=lambda p: p["name"],
)
secrets = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(SINGLE, values), "headers": pairs, "queryParameters": pairs}
)
broken = st.sampled_from(
    [
        {},
        {"url": "ftp://nowhere"},
        {"staleAfterMs": 1},
        {"authType": "HMAC"},
        {"name": ""},
        {"mapping": {"nonsense": 5}},
        {"headers": [{"name": "bad name", "value": "header-secret-value"}]},
        {"bearerToken": "line-secret-value\r\nX: y"},
    ]
)


def every(given: dict[str, Any]) -> list[str]:
    texts = [value for value in given.values() if isinstance(value, str)]
    for field in ("headers", "queryParameters"):
        texts += [pair["value"] for pair in given.get(field, ())]
    return texts


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(given_=secrets, fault=broken, changed=secrets, auth=st.sampled_from(sorted(NEEDS)))
async def test_secrets_never_come_back(world: World, caplog, given_, fault, changed, auth):
    lines: list[str] = []
    sink = logger.add(lines.append, level=0, backtrace=True, diagnose=True)
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):  # as infra.logs has it: they would log URLs with parameters
        caplog.set_level(logging.WARNING, name)
    world.said.clear()
    input = {"name": "Prices", "url": "https://127.0.0.1:1/x", "authType": auth, **given_, **fault}
    try:
        made = await world.do("createConnector", FACTS + FAULT, **input)
        if made["__typename"] == "Connector":
            id = made["id"]
            await world.do("updateConnector", FACTS + FAULT, id=id, **changed)
            await world.do("updateConnector", FACTS + FAULT, id=id, **changed, staleAfterMs=0)
            await world.do("testConnector", TEST, id=id)
            await world.do("startConnector", FACTS, id=id)
            await world.ask(
                f"{{ connectors {{ edges {{ node {{ ...f }} }} }} }} fragment f on Node {{ {FACTS} }}"
            )
            async with world.database.acquire() as connection:
                rows = await connection.fetch("select c::text from connectors c")
            lines += [row[0] for row in rows]
            await world.do("deleteConnector", "", id=id)
        async with echo() as url:
            input |= {"url": url, "name": "Echo"}
            await world.do("testConnector", TEST + FAULT, configuration=input)
    finally:
        logger.remove(sink)
    shown = "\n".join([*world.said, *lines, caplog.text])
    for secret in [*every(given_), *every(changed), "header-secret-value", "line-secret-value"]:
        for form in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]):
            assert form not in shown, next(line for line in shown.split("\n") if form in line)[:300]
    for given_secrets in ({**given_, **fault}, {**given_, **changed}):
        basic = f"{given_secrets.get('username', '')}:{given_secrets.get('password', '')}"
        assert basic == ":" or base64.b64encode(basic.encode()).decode() not in shown


async def test_the_test_would_see_a_secret_that_came_back(world: World):
    """The echo really echoes, so that masking is what keeps it out."""
    async with echo() as url:
        seen = await world.do(
            "testConnector", TEST, configuration={"name": "x", "url": url + "?a=visible"}
        )
    assert "visible" in seen["frame"]
