"""How often one may ask: per user, key and address; what clients are told; what they are refused with."""

import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from starlette.responses import Response

from domain.identity import Caller, Forbidden, Unauthenticated, Viewer
from infra.web.admission import STRANGERS_BYTES, Admission, Offer
from infra.web.counters import Counters
from infra.web.limits import RateLimits, Rates, identity, network
from infra.web.strikes import Strikes
from tests.infra.clients import dialling
from tests.infra.web.sample import World
from tests.infra.web.serving import Anybody, application, served

QUERY = {"query": "{ __typename }"}
RENAME = {"query": 'mutation { rename(name: "a") }'}
SIGN_IN = {"query": 'mutation { signIn(password: "a") }'}
WORKSPACE = UUID(int=1)


def gate(**rates: int) -> RateLimits:
    return RateLimits(Rates(**rates), Counters())


def caller(address: str = "198.51.100.9") -> Viewer:
    return Viewer(WORKSPACE, user_id=uuid4())


async def ask(app: Any, *bodies: Any, address: str = "198.51.100.9") -> list[httpx.Response]:
    transport = httpx.ASGITransport(app=app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://penstock.test") as http:
        return [await http.post("/graphql", json=body) for body in bodies]


def statuses(responses: list[httpx.Response]) -> list[int]:
    return [response.status_code for response in responses]


async def test_answers_say_what_is_left_and_for_how_long() -> None:
    app = application(gate=gate(queries=100, cost=500), viewer=caller())
    _, response = await ask(app, QUERY, {"query": "{ optional { id } }"})
    assert response.headers["ratelimit"] == '"queries";r=98;t=60, "cost";r=498;t=60'
    assert response.headers["ratelimit-policy"] == (
        '"queries";q=100;w=60;qu="requests", "cost";q=500;w=60;qu="cost"'
    )


async def test_a_request_too_many_is_refused_with_when_to_come_back() -> None:
    limits = gate(queries=2)
    app = application(gate=limits, viewer=caller())
    *served_, refused = await ask(app, QUERY, QUERY, QUERY)
    assert statuses(served_) == [200, 200]
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    (error,) = refused.json()["errors"]
    assert error["extensions"] == {
        "code": "RATE_LIMITED",
        "limit": 2,
        "windowSeconds": 60,
        "retryAfterSeconds": int(refused.headers["retry-after"]),
    }
    assert refused.headers["ratelimit"].startswith('"queries";r=0;t=')
    assert limits.refused == 1


async def test_queries_and_mutations_are_counted_apart_and_mutations_by_their_fields() -> None:
    app = application(gate=gate(queries=1, mutations=3), viewer=caller())
    two = {"query": 'mutation { a: rename(name: "a") ... { b: rename(name: "b") } }'}
    assert statuses(await ask(app, QUERY, two, RENAME, RENAME)) == [200, 200, 200, 429]


async def test_users_and_keys_have_rates_of_their_own_wherever_they_are() -> None:
    limits, someone = gate(queries=1), caller()
    key = Viewer(WORKSPACE, user_id=someone.user_id, api_key_id=uuid4())
    for viewer, address, status in (
        (someone, "198.51.100.1", 200),
        (someone, "198.51.100.2", 429),
        (caller(), "198.51.100.1", 200),
        (key, "198.51.100.1", 200),
        (key, "198.51.100.3", 429),
    ):
        app = application(gate=limits, viewer=viewer)
        assert statuses(await ask(app, QUERY, address=address)) == [status]


async def test_strangers_are_counted_by_where_they_are() -> None:
    app = application(gate=gate(queries=1))
    for address, status in (
        ("198.51.100.1", 200),
        ("198.51.100.1", 429),
        ("198.51.100.2", 200),
        ("2001:db8::1", 200),
        ("2001:db8::2", 429),
        ("2001:db8:0:1::2", 200),
    ):
        assert statuses(await ask(app, QUERY, address=address)) == [status], address


async def test_what_operations_cost_is_counted_and_a_refused_one_costs_nothing() -> None:
    app = application(gate=gate(cost=150), viewer=caller())
    dear, cheap = {"query": "{ listed { id } }"}, {"query": "{ optional { id } }"}  # 51 and 2
    answers = await ask(app, dear, dear, dear, cheap)
    assert statuses(answers) == [200, 200, 429, 200]
    assert '"cost";r=46;' in answers[3].headers["ratelimit"]


async def test_sign_ins_are_counted_by_address_however_they_are_sent() -> None:
    app = application(gate=gate(sign_ins=3))
    fragment = {
        "query": "mutation { ...Try } fragment Try on Mutation "
        '{ a: signIn(password: "a") b: signIn(password: "b") }'
    }
    assert statuses(await ask(app, SIGN_IN, fragment, RENAME, SIGN_IN)) == [200, 200, 200, 429]
    assert statuses(await ask(app, SIGN_IN, address="198.51.100.8")) == [200]


async def test_who_goes_on_trying_to_sign_in_waits_longer_and_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    app = application(gate=gate(sign_ins=2, mutations=10_000))
    waits: list[int] = []
    for _ in range(1_500):
        (answer,) = await ask(app, SIGN_IN)
        wait = int(answer.headers.get("retry-after", "0"))
        waits.append(wait)
        now += wait
        if wait > 3_600:
            break
    assert 60 in waits
    assert any(60 < wait <= 3_600 for wait in waits)
    assert 3_600 < max(waits) <= 86_400


async def test_refreshing_a_session_does_not_use_up_sign_ins() -> None:
    app = application(gate=gate(sign_ins=1, mutations=3))
    refresh = {"query": 'mutation { refreshSession(token: "a") }'}
    assert statuses(await ask(app, refresh, refresh, SIGN_IN)) == [200, 200, 200]


async def test_operations_of_a_batch_are_counted_one_by_one() -> None:
    app = application(gate=gate(queries=2), viewer=caller())
    (answer,) = await ask(app, [QUERY, QUERY, QUERY])
    first, second, third = answer.json()
    assert (first, second) == ({"data": {"__typename": "Query"}},) * 2
    assert third["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_operations_that_came_the_wrong_way_are_counted_as_well() -> None:
    app = application(World(events=[]), gate=gate(queries=1, mutations=1), viewer=caller())
    transport = httpx.ASGITransport(app=app, client=("198.51.100.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://penstock.test") as http:
        by_get = {"x-penstock-preflight": "1"}
        renames = [await http.get("/graphql", params=RENAME, headers=by_get) for _ in range(2)]
        follow = {"query": "subscription { ticks { id } }"}
        accept = {"accept": "application/json"}
        follows = [await http.post("/graphql", json=follow, headers=accept) for _ in range(2)]
        batch = await http.post("/graphql", json=[follow])
    assert statuses(renames) == [405, 429]
    assert statuses(follows) == [406, 429]
    assert batch.json()[0]["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_operations_on_a_socket_are_counted_with_the_others() -> None:
    app = application(World(events=[]), gate=gate(queries=2), viewer=caller())
    async with served(app) as url, dialling(url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init")
        await wire.recv()
        for id in ("1", "2"):
            await wire.subscribe(id, "{ __typename }")
            assert [(await wire.recv())["type"] for _ in range(2)] == ["next", "complete"]
        await wire.subscribe("3", "subscription { ticks { id } }")
        refused = await wire.recv()
    assert refused["type"] == "error"
    assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert refused["payload"][0]["extensions"]["retryAfterSeconds"] > 0


class Nobody(Anybody):
    def __init__(self, refusal: Exception) -> None:
        super().__init__()
        self.refusal = refusal

    async def admit(self, offer: Offer) -> Admission:
        raise self.refusal


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(Unauthenticated("unknown key"), 401), (Forbidden(needed="a membership"), 403)],
)
async def test_an_address_that_sends_bad_credentials_for_long_is_told_to_wait(
    refusal: Exception, status: int
) -> None:
    app = application(gate=gate(queries=2), authentication=Nobody(refusal))
    answers = await ask(app, QUERY, QUERY, QUERY)
    assert statuses(answers) == [status, status, 429]
    assert "retry-after" in answers[2].headers


class OneGood(Anybody):
    """Lets in who offers one of the good tokens, and counts the look-ups."""

    def __init__(self) -> None:
        super().__init__()
        self.good = {"good", "fresh"}
        self.looks: list[str | None] = []

    async def admit(self, offer: Offer) -> Admission:
        self.looks.append(offer.token)
        if offer.token not in self.good:
            raise Unauthenticated("unknown key")
        return Admission(caller())


async def offer(app: Any, token: str, address: str = "198.51.100.9") -> int:
    transport = httpx.ASGITransport(app=app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://penstock.test") as http:
        headers = {"authorization": f"Bearer {token}"}
        return (await http.post("/graphql", json=QUERY, headers=headers)).status_code


async def test_an_address_told_to_wait_has_no_credential_looked_up_but_those_that_were_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = OneGood()
    app = application(gate=gate(queries=2), authentication=door)
    tokens = ["good", "bad1", "bad2", "bad3", "bad4", "fresh", "good"]
    assert [await offer(app, token) for token in tokens] == [200, 401, 401, 429, 429, 429, 200]
    assert door.looks == ["good", "bad1", "bad2", "bad3", "good"]
    assert await offer(app, "bad5", address="198.51.100.8") == 401
    door.good.remove("good")
    door.looks.clear()
    assert [await offer(app, "good") for _ in range(2)] == [429, 429]
    assert door.looks == ["good"]
    now = time.monotonic()
    monkeypatch.setattr("infra.web.strikes.time.monotonic", lambda: now + 61)
    assert await offer(app, "fresh") == 200


async def test_sockets_of_an_address_told_to_wait_are_not_let_in_nor_looked_up() -> None:
    door = OneGood()
    app = application(gate=gate(queries=1), authentication=door)
    codes = []
    async with served(app) as url:
        for token in ("bad1", "bad2", "bad3"):
            async with dialling(url, "graphql-transport-ws") as wire:
                await wire.send(
                    type="connection_init", payload={"authorization": f"Bearer {token}"}
                )
                codes.append((await wire.closed())[0])
    assert codes == [4403, 1013, 1013]
    assert door.looks == ["bad1", "bad2"]


async def test_strangers_send_no_large_bodies() -> None:
    large = {"query": "{ __typename }", "variables": {"a": "x" * STRANGERS_BYTES}}
    assert statuses(await ask(application(), large)) == [413]
    assert statuses(await ask(application(viewer=caller()), large)) == [200]


async def test_strangers_send_no_large_messages() -> None:
    large = {"a": "x" * STRANGERS_BYTES}
    async with served(application()) as url, dialling(url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init", payload=large)
        assert (await wire.closed())[0] == 1009
    app = application(viewer=caller())
    async with served(app) as url, dialling(url, "graphql-transport-ws") as wire:
        await wire.send(type="connection_init")
        assert (await wire.recv())["type"] == "connection_ack"
        await wire.send(type="ping", payload=large)
        assert (await wire.recv())["type"] == "pong"


async def test_who_sends_documents_that_cannot_be_executed_for_long_is_read_no_more() -> None:
    someone = caller()
    app = application(gate=gate(queries=100), viewer=someone)
    broken: list[Any] = [{"query": "{"}, {"query": "{ nothing }"}] * 5
    answers = await ask(app, *broken, QUERY)
    assert 429 not in statuses(answers[:10])
    assert answers[10].status_code == 429
    assert 0 < int(answers[10].headers["retry-after"]) <= 60
    assert '"documents";r=0;' in answers[10].headers["ratelimit"]


async def test_pages_of_signing_in_are_counted_by_address() -> None:
    app = application(auth=Response("a page"), gate=gate(sign_ins=1))
    for address, wanted in (("198.51.100.1", [200] * 6 + [429]), ("198.51.100.2", [200])):
        transport = httpx.ASGITransport(app=app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://penstock.test") as http:
            answers = [await http.get("/auth/provider") for _ in wanted]
        assert statuses(answers) == wanted
        assert ("retry-after" in answers[-1].headers) is (wanted[-1] == 429)


def test_strikes_are_bounded_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.web.strikes.REMEMBERED", 2)
    strikes = Strikes(most=1)
    for who in ("a", "b", "c"):
        strikes.add(who)
    assert strikes.out_for("a") == 0
    assert strikes.out_for("c") == 60
    now = time.monotonic()
    monkeypatch.setattr("time.monotonic", lambda: now + 61)
    assert strikes.out_for("c") == 0


async def test_without_a_gate_nothing_is_counted() -> None:
    (answer,) = await ask(application(), QUERY)
    assert "ratelimit" not in answer.headers


def test_an_address_is_counted_as_its_network() -> None:
    assert network("2001:db8:1:2:3:4:5:6") == "address:2001:db8:1:2::/64"
    assert network("::ffff:198.51.100.9") == network("198.51.100.9")
    assert network("fe80::1%eth0") == network("fe80::2")
    assert network(None) == network("nonsense")
    viewer = Viewer(WORKSPACE, user_id=UUID(int=7), api_key_id=UUID(int=8))
    assert identity(Caller(viewer, "r")) == f"key:{UUID(int=8)}"
