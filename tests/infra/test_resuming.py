"""A subscriber that was away gets what it missed, each message once and in order, or a Gap that says why not."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.positions import Position, node_of
from infra.postgres.database import Database
from tests.factories import batch as batch_record
from tests.factories import messages as stored_messages
from tests.factories import save as store_entities
from tests.factories import store
from tests.infra.clients import (
    FOLLOW,
    batch,
    began,
    following,
    new_connector,
    numbers,
    read,
    save,
    talking,
    ticks,
)
from tests.service import Service

PAGE = """
query($filter: MessageFilter, $after: String) {
  messages(filter: $filter, first: 1000, order: OLDEST_FIRST, after: $after) {
    cursor edges { cursor node { id sequence } } pageInfo { hasNextPage }
  }
}
"""


def content(messages: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(m["instrument"], m["sequence"], m["price"]) for m in messages]


async def test_away_through_ten_thousand_ticks_then_live(service: Service) -> None:
    connector = await new_connector(service)
    async with following(service, connector) as events:
        await began(events)
        await save(service, connector, ticks(0))
        away = (await batch(events))["cursor"]
    missed = [
        tick for start in range(1, 10_001, 2_000) for tick in ticks(*range(start, start + 2_000))
    ]
    for start in range(0, 10_000, 2_000):
        await save(service, connector, missed[start : start + 2_000])
    async with following(service, connector, after=away) as events:
        assert content(await read(events, 10_000)) == content(missed)
        await save(service, connector, ticks(10_001))
        assert numbers(await read(events, 1)) == [10_001]


async def test_resuming_at_any_cursor_gives_exactly_what_comes_after_it(service: Service) -> None:
    connector = await new_connector(service)
    dice = random.Random(1)
    async with following(service, connector) as events:
        cuts = [(await began(events), 0)]
        number = 0
        while number < 300:
            size = dice.randint(1, 20)
            await save(service, connector, ticks(*range(number, number + size)))
            number += size
        got = 0
        while got < number:
            event = await batch(events)
            got += len(event["messages"])
            cuts.append((event["cursor"], got))
    for cursor, seen in dice.sample(cuts, 8):
        async with following(service, connector, after=cursor) as events:
            messages = await read(events, number - seen) if seen < number else []
            assert numbers(messages) == list(range(seen, number))
            await save(service, connector, ticks(number))
            number += 1
            last = await batch(events)
            assert numbers(last["messages"]) == [number - 1]
            cuts.append((last["cursor"], number))


async def test_resuming_where_two_processes_write_gives_each_message_once(
    service: Service, shared_database_url: str, tmp_path: Path
) -> None:
    connector = await new_connector(service)
    settings = {"encryption_keys": base64.b64encode(bytes(32)).decode()}
    async with (
        Service(tmp_path, command="serve", database_url=shared_database_url, **settings) as other,
        following(service, connector) as events,
    ):
        cuts = [(await began(events), list[int]())]
        for number in range(0, 30, 2):
            await save(service, connector, ticks(number))
            await save(other, connector, ticks(number + 1))
        seen: list[int] = []
        while len(seen) < 30:
            event = await batch(events)
            seen += numbers(event["messages"])
            cuts.append((event["cursor"], list(seen)))
        for cursor, before in cuts:
            for process in (service, other):
                async with following(process, connector, after=cursor) as resumed:
                    after = numbers(await read(resumed, 30 - len(before)))
                assert sorted(before + after) == list(range(30))
                for node in (0, 1):
                    mine = [number for number in before + after if number % 2 == node]
                    assert mine == sorted(mine)


@asynccontextmanager
async def writing(service: Service, connector: str, first: int) -> AsyncIterator[list[int]]:
    """Saves on and on for the block; gives the numbers stored so far."""
    stored: list[int] = []

    async def write() -> None:
        number = first
        while True:
            await save(service, connector, ticks(number, number + 1, number + 2))
            stored.extend((number, number + 1, number + 2))
            number += 3

    task = asyncio.create_task(write())
    try:
        yield stored
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_replay_joins_live_while_writing_goes_on(service: Service) -> None:
    connector = await new_connector(service)
    start = (await save(service, connector, ticks(0)))["cursor"]
    await save(service, connector, ticks(*range(1, 3_000)))
    async with writing(service, connector, 3_000):
        for _ in range(3):
            cuts: list[tuple[str, int]] = []
            async with following(service, connector, after=start) as events:
                seen: list[int] = []
                while len(seen) < 3_030:
                    event = await batch(events)
                    seen += numbers(event["messages"])
                    cuts.append((event["cursor"], len(seen)))
                assert seen == list(range(1, len(seen) + 1))
            for cursor, last in (cuts[0], cuts[len(cuts) // 2], cuts[-1]):
                async with following(service, connector, after=cursor) as events:
                    assert numbers((await batch(events))["messages"])[0] == last + 1


async def test_a_page_and_the_stream_after_its_cursor_are_all_there_is(service: Service) -> None:
    connector = await new_connector(service)
    filter = {"connectorIds": [connector]}
    async with writing(service, connector, 0) as stored:
        while len(stored) < 10:
            await asyncio.sleep(0.01)
        for _ in range(5):
            page = (await service.ask(PAGE, {"filter": filter}))["messages"]
            assert not page["pageInfo"]["hasNextPage"]
            shown = numbers([edge["node"] for edge in page["edges"]])
            async with following(service, connector, after=page["cursor"]) as events:
                after = numbers((await batch(events))["messages"])
            assert shown + after == list(range(len(shown) + len(after)))


async def test_cursors_that_are_none_are_refused_by_name(service: Service) -> None:
    connector = await new_connector(service)
    good = (await save(service, connector, ticks(0)))["cursor"]
    page = await service.ask(PAGE, {"filter": {"connectorIds": [connector]}})
    edge = page["messages"]["edges"][0]["cursor"]
    bad = ["", "x", "???", edge, good[:-3], good + good, good + "\n", "é", "A" * 20_000, connector]
    bad += [base64.urlsafe_b64encode(text).decode() for text in (b"", b"\2" * 9, b"\1" + bytes(8))]
    async with talking(service) as wire:
        for at, cursor in enumerate(bad):
            await wire.subscribe(str(at), FOLLOW, after=cursor)
            answer = await wire.recv()
            assert (answer["type"], answer["id"]) == ("error", str(at)), cursor
            (error,) = answer["payload"]
            assert error["extensions"]["code"] == "BAD_USER_INPUT", error
            assert "after" in error["message"] + error["extensions"].get("field", ""), error
        await wire.subscribe("good", FOLLOW, after=good, filter={"connectorIds": [connector]})
        await save(service, connector, ticks(1))
        assert numbers((await wire.recv())["payload"]["data"]["messages"]["messages"]) == [1]


async def test_a_stream_cursor_is_no_edge_cursor(service: Service) -> None:
    connector = await new_connector(service)
    cursor = (await save(service, connector, ticks(0)))["cursor"]
    with pytest.raises(AssertionError, match="BAD_USER_INPUT"):
        await service.ask(PAGE, {"after": cursor})


@pytest.mark.parametrize("delivery", [{"mode": "EVERY"}, {"mode": "LATEST"}])
async def test_a_cursor_from_the_future_resets_the_stream(
    service: Service, delivery: dict[str, Any]
) -> None:
    connector = await new_connector(service)
    now = Position.decode((await save(service, connector, ticks(0)))["cursor"])
    for future in (
        now.advanced([id + (1 << 50) for id in now.last.values()]),
        now.advanced(
            [max(now.last.values()) - node_of(max(now.last.values())) * 4096 + 999 * 4096]
        ),
    ):
        after = future.encode()
        async with following(service, connector, after=after, delivery=delivery) as events:
            gap = (await events.next())["messages"]
            assert (gap["__typename"], gap["reason"], gap["missed"]) == ("Gap", "RESET", None)
            assert gap["after"] == after
            await save(service, connector, ticks(1))
            assert numbers(await read(events, 1)) == [1]
        async with following(service, connector, after=gap["before"]) as events:
            assert numbers(await read(events, 1)) == [1]


async def test_what_retention_removed_is_a_gap_before_the_rest(
    tmp_path: Path, database_url: str
) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    async with Database(database_url) as database:
        days: dict[int, list[Any]] = {}
        for age in (5, 4, 1):
            days[age] = stored_messages(
                20, node=7, start=today - timedelta(days=age) + timedelta(hours=1)
            )
            await store(database, days[age])
            ids = [message.id for message in days[age]]
            await store_entities(database, batch_record(ids[0], ids[-1], count=len(ids)))
    settings = {"retention_days": 2, "allow_private_addresses": True}
    async with Service(tmp_path, database_url=database_url, **settings) as service:
        connector = await new_connector(service)
        oldest = Position({7: days[5][9].id}).encode()
        for mode, kept in (("LATEST", days[1][-1:]), ("EVERY", days[1])):
            variables = {"after": oldest, "delivery": {"mode": mode}}
            async with service.subscription(FOLLOW, variables) as events:
                gap = (await events.next())["messages"]
                assert gap["__typename"] == "Gap"
                assert (gap["reason"], gap["missed"], gap["after"]) == ("RETENTION", None, oldest)
                assert Position.decode(gap["before"]).of(7) == days[4][-1].id
                rest = await read(events, len(kept))
                assert [decoded(message["id"]) for message in rest] == [one.id for one in kept]
        await save(service, connector, ticks(1))
        async with service.subscription(FOLLOW, {"after": gap["before"]}) as events:
            rest = await read(events, 21)
            assert [decoded(message["id"]) for message in rest[:20]] == [one.id for one in days[1]]
            assert rest[20]["sequence"] == "1"


def decoded(global_id: str) -> int:
    return int(base64.b64decode(global_id).decode().removeprefix("Message:"))
