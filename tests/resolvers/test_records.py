import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.messages import (
    MessageBatchRecord,
    MessageType,
    QuarantinedFrame,
    QuarantineReason,
    SequenceGap,
)
from resolvers import ids
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, NOW
from tests.infra.postgres.writing import a_connector
from tests.resolvers.world import FAULT, World, connector_id, store


async def records(world: World, key: UUID) -> tuple[QuarantinedFrame, SequenceGap]:
    """Two batches, two quarantined frames and a gap."""
    about: dict[str, Any] = {"workspace_id": HOME_WORKSPACE_ID, "connector_id": key}
    for number in (1, 2):
        await factories.save(
            world.database,
            MessageBatchRecord(
                id=number,
                last_id=number,
                message_count=number,
                byte_count=5_000_000_000,
                first_received_at=NOW,
                last_received_at=NOW + timedelta(milliseconds=20),
                duration_ms=1.5,
                **about,
            ),
        )
    frames = [
        QuarantinedFrame(
            id=UUID(int=number),
            received_at=NOW,
            reason=QuarantineReason.MALFORMED,
            explanation="not JSON",
            source="wss://x",
            frame=frame,
            frame_bytes=len(frame),
            **about,
        )
        for number, frame in enumerate((b"{oops", b"\xff\x00"))
    ]
    gap = SequenceGap(
        id=factories.new_id(),
        instrument="BTC-USDT",
        type=MessageType.BOOK,
        after_sequence=5,
        before_sequence=9_000_000_000,
        missed=8_999_999_994,
        noticed_at=NOW,
        **about,
    )
    await factories.save(world.database, *frames, gap)
    return frames[0], gap


BATCHES = """{ totalCount edges { node { id connectorId connector { name } messageCount byteCount span durationMs
  idempotencyKey } } }"""

FRAMES = "{ totalCount edges { node { id reason text base64 frameBytes state replayedAt } } }"

GAPS = "{ totalCount edges { node { id instrument type missed beforeSequence noticedAt } } }"


async def test_records_are_listed_newest_first_for_all_and_for_one(world: World):
    key = await a_connector(world.database, name="mine")
    await records(world, key)
    everything = await world.ask(
        f"{{ messageBatches {BATCHES} quarantine {FRAMES} sequenceGaps {GAPS} }}"
    )
    batches = everything["messageBatches"]
    assert batches["totalCount"] == 2
    assert batches["edges"][0]["node"] == {
        "id": ids.global_id("MessageBatchRecord", 2),
        "connectorId": connector_id(key),
        "connector": {"name": "mine"},
        "messageCount": 2,
        "byteCount": 5_000_000_000,
        "span": "PT0.02S",
        "durationMs": 1.5,
        "idempotencyKey": None,
    }
    binary, text = (edge["node"] for edge in everything["quarantine"]["edges"])
    assert (text["text"], text["reason"], text["state"]) == ("{oops", "MALFORMED", "HELD")
    assert (binary["text"], base64.b64decode(binary["base64"])) == (None, b"\xff\x00")
    (gap,) = everything["sequenceGaps"]["edges"]
    assert gap["node"]["missed"] == 8_999_999_994
    document = f"""query($id: ID!) {{ node(id: $id) {{ ... on Connector {{
      messageBatches: batches {BATCHES} quarantine {FRAMES} sequenceGaps {GAPS} }} }} }}"""
    assert (await world.ask(document, id=connector_id(key)))["node"] == everything
    document = f"""query($id: ID!) {{ messageBatches(connectorId: $id) {BATCHES}
      quarantine(connectorId: $id) {FRAMES} sequenceGaps(connectorId: $id) {GAPS} }}"""
    assert await world.ask(document, id=connector_id(key)) == everything
    other = await world.ask(document, id=connector_id(UUID(int=9)))
    assert {found["totalCount"] for found in other.values()} == {0}
    assert await world.refused(document, id="nonsense")


async def test_records_page_by_their_cursors(world: World):
    await records(world, await a_connector(world.database))
    document = """query($after: String) { messageBatches(first: 1, after: $after) {
      edges { node { messageCount } } pageInfo { hasNextPage endCursor } } }"""
    seen, cursor = [], None
    for _ in range(2):
        found = (await world.ask(document, after=cursor))["messageBatches"]
        seen += [edge["node"]["messageCount"] for edge in found["edges"]]
        cursor = found["pageInfo"]["endCursor"]
    assert (seen, found["pageInfo"]["hasNextPage"]) == ([2, 1], False)


async def test_every_node_is_found_again_by_its_id(world: World):
    key = await a_connector(world.database)
    frame, gap = await records(world, key)
    (message,) = await store(world, 1, connector_id=key)
    for type, node_key in [
        ("Connector", key),
        ("Message", message.id),
        ("MessageBatchRecord", 1),
        ("QuarantinedFrame", frame.id),
        ("SequenceGap", gap.id),
    ]:
        id = ids.global_id(type, node_key)
        found = await world.ask("query($id: ID!) { node(id: $id) { __typename id } }", id=id)
        assert found["node"] == {"__typename": type, "id": id}


async def test_an_id_of_nothing_is_null_and_what_is_no_id_is_refused(world: World):
    document = "query($id: ID!) { node(id: $id) { id } }"
    for key in (
        "Message:5", "Message:x", "Message:-1", f"Message:{1 << 70}", "Message:٣", "Connector:5", "Query:1",
        "Nonsense:1", f"QuarantinedFrame:{UUID(int=1)}", "Connector:", "MessageBatchRecord:7",
    ):  # fmt: skip
        id = base64.b64encode(key.encode()).decode()
        assert (await world.ask(document, id=id))["node"] is None, key
    for id in ("", "nonsense", "!!", base64.b64encode(b"Message").decode(), "é"):
        assert (await world.refused(document, id=id))["code"] == "BAD_USER_INPUT", id


REPLAYED = "... on ReplayedQuarantine { replayedCount messageCount stillHeldCount }"


async def test_a_quarantined_frame_is_read_again_after_a_fix(world: World):
    key = await a_connector(world.database, url="https://x.example", venue="custom")
    about: dict[str, Any] = {
        "workspace_id": HOME_WORKSPACE_ID,
        "connector_id": key,
        "received_at": NOW,
        "reason": QuarantineReason.UNEXPECTED,
        "explanation": "no price",
        "source": "https://x.example",
    }
    good, bad = b'{"s":"BTC-USD","p":"1.5"}', b"{oops"
    frames = [
        QuarantinedFrame(id=UUID(int=number), frame=frame, frame_bytes=len(frame), **about)
        for number, frame in enumerate((good, bad))
    ]
    frame_ids = [ids.global_id("QuarantinedFrame", frame.id) for frame in frames]
    await factories.save(world.database, *frames)
    fix = {"mapping": {"instrument": "s", "price": "p"}}
    await world.do("updateConnector", "", id=connector_id(key), **fix)
    replayed = await world.do(
        "replayQuarantine", REPLAYED + FAULT, connectorId=connector_id(key), ids=frame_ids[1:]
    )
    assert (replayed["replayedCount"], replayed["stillHeldCount"]) == (0, 1)
    replayed = await world.do("replayQuarantine", REPLAYED, connectorId=connector_id(key))
    assert (
        replayed.items()
        >= {
            "replayedCount": 1,
            "messageCount": 1,
            "stillHeldCount": 1,
        }.items()
    )
    found = await world.ask(
        "{ messages { edges { node { instrument price } } } quarantine { edges { node { id state } } } }"
    )
    assert found["messages"]["edges"] == [{"node": {"instrument": "BTC-USD", "price": "1.5"}}]
    states = {edge["node"]["id"]: edge["node"]["state"] for edge in found["quarantine"]["edges"]}
    assert states == dict(zip(frame_ids, ("REPLAYED", "HELD"), strict=True))
    for bad_ids, field in [(["nonsense"], "ids.0"), (frame_ids[:1] * 1001, "ids")]:
        refused = await world.do(
            "replayQuarantine", FAULT, connectorId=connector_id(key), ids=bad_ids
        )
        assert (refused["__typename"], refused["field"]) == ("InvalidInput", field)
