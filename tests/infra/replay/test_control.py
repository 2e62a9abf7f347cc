from typing import Any

import httpx
import pytest

from infra.replay.faults import Fault, FaultKind
from tests.infra.replay.listening import close_code, listening, next_text, replaying


def client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5)


async def test_faults_come_and_go_while_it_runs() -> None:
    async with replaying() as replayer, client(replayer.port) as control:
        asked = {"kind": "status", "transport": "rest", "status": 503, "count": 2}
        added = await control.post("/control/faults", json=asked)
        assert (added.status_code, added.json()) == (201, {"id": 1})
        assert (await control.get("/binance/api/v3/ping")).status_code == 503
        [listed] = (await control.get("/control")).json()["faults"]
        assert (listed["kind"], listed["status"], listed["struck"]) == ("status", 503, 1)
        assert (await control.delete("/control/faults/1")).status_code == 204
        assert (await control.delete("/control/faults/1")).status_code == 404
        assert (await control.get("/binance/api/v3/ping")).status_code == 200
        replayer.faults.add(Fault(FaultKind.ABORT))
        assert (await control.delete("/control/faults")).status_code == 204
        assert (await control.get("/binance/api/v3/ping")).status_code == 200


async def test_it_shows_who_is_connected_and_what_was_sent() -> None:
    async with (
        replaying(rate=1000) as replayer,
        client(replayer.port) as control,
        listening(replayer, "binance", "/ws/omgbusd@aggTrade") as socket,
    ):
        await next_text(socket)
        shown = (await control.get("/control")).json()["venues"]
        assert shown["binance"]["connections"] == 1
        assert shown["binance"]["framesSent"] >= 1
        assert "trades:BTC-USDT" in shown["okx"]["streams"]
        assert shown["okx"]["connections"] == 0


async def test_connections_can_be_ended() -> None:
    async with (
        replaying() as replayer,
        client(replayer.port) as control,
        listening(replayer, "okx", "/ws/v5/public") as socket,
    ):
        ended = await control.post("/control/disconnect", json={"venue": "okx", "abrupt": True})
        assert ended.json() == {"disconnected": 1}
        assert await close_code(socket) == 1006


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "kind"),
        ([], "kind"),
        ({"kind": "explode"}, "explode"),
        ({"kind": "abort", "colour": "red"}, "colour"),
        ({"kind": "abort", "probability": 2}, "probability"),
        ({"kind": "abort", "probability": "often"}, "number"),
        ({"kind": "abort", "count": 1.5}, "whole number"),
        ({"kind": "abort", "venue": "nyse"}, "venue"),
        ({"kind": "slow"}, "seconds"),
    ],
)
async def test_impossible_faults_are_refused_with_the_reason(body: Any, said: str) -> None:
    async with replaying() as replayer, client(replayer.port) as control:
        answer = await control.post("/control/faults", json=body)
        assert answer.status_code == 400
        assert said in answer.json()["error"]
        assert replayer.faults.listed() == []


async def test_a_fault_that_is_no_json_is_refused() -> None:
    async with replaying() as replayer, client(replayer.port) as control:
        answer = await control.post("/control/faults", content=b"{nonsense")
        assert answer.status_code == 400
        assert (await control.post("/control/disconnect", content=b"[]")).status_code == 400
