from datetime import UTC, datetime, timedelta

from infra.system import RandomIds, SystemClock


def test_the_clock_tells_the_time_in_utc() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=5)


def test_ids_are_version_7_distinct_and_ordered_by_time() -> None:
    before = datetime.now(UTC)
    mint = RandomIds()
    ids = [mint.new() for _ in range(10_000)]
    assert len(set(ids)) == 10_000
    assert {(id.version, id.variant) for id in ids} == {(7, "specified in RFC 4122")}
    assert ids == sorted(ids)
    assert abs((ids[0].int >> 80) - before.timestamp() * 1000) < 5000
