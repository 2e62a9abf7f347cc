"""The whole service in one process, as `penstock up` runs it."""

from pathlib import Path

from tests.infra.trades import metric
from tests.service import Service

FOLLOW = """
subscription Follow($filter: MessageFilter, $after: Cursor) {
  messages(filter: $filter, after: $after) {
    ... on MessageBatch { cursor messages { id instrument type price } }
    ... on Gap { after before missed reason }
  }
}
"""


async def test_recorded_frames_reach_a_subscriber_and_are_found_again(
    tmp_path: Path, database_url: str
) -> None:
    async with (
        Service(tmp_path, "--demo", database_url=database_url) as service,
        service.subscription(FOLLOW) as ticks,
    ):
        acknowledged = await ticks.next()
        assert acknowledged["messages"]["messages"] == []
        seen = (await ticks.next())["messages"]["messages"]
        assert seen
        found = await service.ask(
            "query($id: ID!) { node(id: $id) { id ... on Message { price } } }",
            {"id": seen[0]["id"]},
        )
        for lost in ("shed_messages", "fenced_messages", "refused_messages", "unannounced_batches"):
            assert await metric(service, f"{lost}_total") == 0
        assert found["node"] == {"id": seen[0]["id"], "price": seen[0]["price"]}


async def test_sigterm_drains_and_ends_well(tmp_path: Path, database_url: str) -> None:
    service = await Service(tmp_path, "--demo", database_url=database_url).start()
    async with service.subscription(FOLLOW) as ticks:
        await ticks.next()
        assert await service.stop() == 0
