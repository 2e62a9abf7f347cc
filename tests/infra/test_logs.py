import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from infra import logs
from infra.settings import LogFormat

FORMATS = get_args(LogFormat)
VALUE = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logs.close()
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level


class Reader(io.StringIO):
    """A stream that a test reads after all is written."""

    def text(self) -> str:
        assert logs.flush(10)
        return self.getvalue()


def reader(format: LogFormat, level: Any = "INFO", **options: Any) -> Reader:
    stream = Reader()
    logs.configure(level, format, stream=stream, **options)
    return stream


def test_json_is_one_object_a_line_with_context_and_facts() -> None:
    out = reader("json")
    with logger.contextualize(request_id="r-1", operation="Ticks"):
        logger.bind(rows=3, instruments=["BTC-USDT"]).warning("stored\nsome")
    [line] = out.text().splitlines()
    entry = json.loads(line)
    assert datetime.fromisoformat(entry.pop("time")).tzinfo is not None
    assert entry.pop("logger").startswith(f"{__name__}:test_json")
    assert entry == {
        "level": "warning",
        "message": "stored\nsome",
        "request_id": "r-1",
        "operation": "Ticks",
        "rows": 3,
        "instruments": ["BTC-USDT"],
    }


def test_structured_is_key_value_on_one_line() -> None:
    out = reader("structured")
    with logger.contextualize(connector_id="c-1"):
        logger.bind(rows=3, note='say "hi"').info("two words")
    [line] = out.text().splitlines()
    assert " level=info " in line
    assert line.endswith(' message="two words" connector_id=c-1 rows=3 note="say \\"hi\\""')


def test_simple_leaves_out_what_detailed_tells() -> None:
    lines = {}
    for format in FORMATS:
        out = reader(format)
        with logger.contextualize(request_id="r-1"):
            logger.bind(rows=3).info("stored")
        [lines[format]] = out.text().splitlines()
    assert lines["simple"].endswith(" INFO    stored rows=3")
    assert f"{__name__}:" in lines["detailed"]
    assert lines["detailed"].endswith("stored request_id=r-1 rows=3")


async def test_context_belongs_to_the_task_that_bound_it() -> None:
    out = reader("json")

    async def work(name: str) -> None:
        with logger.contextualize(request_id=name):
            await asyncio.sleep(0.01)
            logger.info(name)

    await asyncio.gather(work("a"), work("b"))
    entries = [json.loads(line) for line in out.text().splitlines()]
    assert {entry["message"]: entry["request_id"] for entry in entries} == {"a": "a", "b": "b"}


def test_a_message_cannot_pass_for_another_line_or_command_the_terminal() -> None:
    for format in FORMATS:
        out = reader(format)
        logger.info("x\n07:00:00 ERROR forged\x1b[2J\u2028y")
        first, *rest = out.text().split("\n")
        assert all(line == "" or line.startswith("    ") for line in rest)
        assert "\x1b" not in out.text()
        assert "x" in first


def test_facts_cannot_replace_what_the_line_says_of_itself() -> None:
    out = reader("json")
    logger.bind(level="none", message="other").error("real")
    entry = json.loads(out.text())
    assert (entry["level"], entry["message"]) == ("error", "real")
    assert (entry["level_"], entry["message_"]) == ("none", "other")


def test_the_standard_library_is_routed_in_with_its_level_and_logger() -> None:
    out = reader("json", "DEBUG")
    logging.getLogger("uvicorn.error").error("from %s {braces}", "uvicorn")
    logging.getLogger("some.library").debug("fine")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", UserWarning, stacklevel=1)
    entries = [json.loads(line) for line in out.text().splitlines()]
    assert [(entry["level"], entry["message"]) for entry in entries[:2]] == [
        ("error", "from uvicorn {braces}"),
        ("debug", "fine"),
    ]
    assert entries[2]["level"] == "warning"
    assert "UserWarning: careful" in entries[2]["message"]
    assert entries[0]["logger"].startswith("uvicorn.error:test_the_standard")


def test_chatty_libraries_are_quiet_until_trace() -> None:
    out = reader("simple", "DEBUG")
    logging.getLogger("sqlalchemy.engine").info("select 1")
    logging.getLogger("httpx").info("GET https://h/?x=1")
    assert out.text() == ""
    out = reader("simple", "TRACE")
    logging.getLogger("sqlalchemy.engine").info("select 1")
    assert "select 1" in out.text()


def test_a_broken_record_of_the_standard_library_is_still_a_line() -> None:
    out = reader("simple")
    logging.getLogger("x").error("%d of", "nothing")
    assert "%d of" in out.text()


def test_below_the_level_nothing_is_written() -> None:
    out = reader("simple", "WARNING")
    logger.info("no")
    logging.getLogger("x").info("no")
    logger.warning("yes")
    assert out.text().count("\n") == 1


def test_an_exception_shows_its_traceback_but_no_variables() -> None:
    for format in FORMATS:
        out = reader(format)
        unseen = "a local " + "value"
        try:
            int(unseen[:1])
        except ValueError:
            logger.exception("failed")
        assert "test_logs.py" in out.text()
        assert "ValueError" in out.text()
        assert unseen not in out.text()


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


def test_values_that_cannot_be_shown_do_not_fail_the_call() -> None:
    recursive: dict[str, Any] = {"huge": 10**400, "nan": float("nan"), "surrogate": "\ud800"}
    recursive["itself"] = recursive
    for format in FORMATS:
        out = reader(format)
        logger.bind(bad=Hostile(), deep=recursive).info("still here")
        assert "still here" in out.text()
        assert "Hostile" in out.text()


def test_a_fact_that_changes_after_the_call_is_shown_as_it_was() -> None:
    class Slow(Reader):
        def write(self, text: str) -> int:
            time.sleep(0.05)
            return super().write(text)

    out = Slow()
    logs.configure("INFO", "json", stream=out)
    rows = [1]
    logger.info("first")
    logger.bind(rows=rows).info("second")
    rows.append(2)
    assert json.loads(out.text().splitlines()[1])["rows"] == [1]


def test_a_stuck_stream_never_holds_up_the_caller_and_what_is_dropped_is_told() -> None:
    gate = threading.Event()

    class Stuck(Reader):
        def write(self, text: str) -> int:
            gate.wait(30)
            return super().write(text)

    out = Stuck()
    writer = logs.configure("INFO", "simple", stream=out)
    writer.depth = 100
    started = time.perf_counter()
    for number in range(1000):
        logger.info("line {}", number)
    assert time.perf_counter() - started < 5
    assert 890 <= logs.dropped_lines() <= 900
    assert not logs.flush(0.05)
    gate.set()
    assert f"{logs.dropped_lines()} log lines dropped" in out.text()


def test_a_stream_that_fails_is_survived() -> None:
    class Failing(Reader):
        fails = True

        def write(self, text: str) -> int:
            if self.fails:
                raise BrokenPipeError
            return super().write(text)

    out = Failing()
    logs.configure("INFO", "simple", stream=out)
    logger.info("lost")
    assert logs.flush(10)
    out.fails = False
    logger.info("kept")
    assert "kept" in out.text()
    assert logs.dropped_lines() == 1


def test_what_waits_is_written_when_the_process_ends() -> None:
    program = (
        "from infra import logs\nfrom loguru import logger\nlogs.configure()\n"
        "[logger.info('line {}', n) for n in range(500)]"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "line 499" in ended.stderr
    assert ended.stderr.count("\n") == 500


def test_a_long_message_is_cut() -> None:
    out = reader("simple")
    logger.info("x" * 1_000_000)
    assert len(out.text()) < 20_000
    assert "(1000000 characters)" in out.text()


def test_slow_work_is_warned_about_and_quick_work_is_not() -> None:
    out = reader("json", slow_ms=20.0)
    with logs.timed("quick"):
        pass
    with logs.timed("slow", table="messages"):
        time.sleep(0.03)
    with pytest.raises(ValueError, match="x"), logs.timed("slow and failed", threshold_ms=0):
        raise ValueError("x")
    entries = [json.loads(line) for line in out.text().splitlines()]
    assert [entry["level"] for entry in entries] == ["warning", "warning"]
    assert entries[0]["message"].startswith("slow: slow took ")
    assert entries[0]["table"] == "messages"
    assert entries[0]["duration_ms"] >= 20
    assert entries[0]["logger"].startswith(f"{__name__}:test_slow_work")
    assert entries[1]["message"].startswith("slow: slow and failed took ")


def test_facts_are_masked_by_their_name_at_any_depth() -> None:
    for format in FORMATS:
        out = reader(format)
        logger.bind(
            api_key=VALUE, request={"headers": [{"Authorization": VALUE}]}, token=12345678, ok=True
        ).info("sent")
        assert VALUE not in out.text()
        assert "12345678" not in out.text()
        assert "sent" in out.text()


secret_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="0*"), min_size=8, max_size=40
).filter(lambda text: len(set(text)) > 4)

surroundings = st.text(max_size=20)


@settings(max_examples=60, deadline=None)
@given(
    secret=secret_texts,
    before=surroundings,
    after=surroundings,
    format=st.sampled_from(FORMATS),
    where=st.sampled_from(["message", "fact", "nested", "key", "exception", "stdlib", "long"]),
)
def test_known_secrets_appear_in_no_format(
    secret: str, before: str, after: str, format: LogFormat, where: str
) -> None:
    out = reader(format)
    logs.mask(secret)
    text = before + secret + after
    match where:
        case "message":
            logger.info("{}", text)
        case "fact":
            logger.bind(fact=text).info("m")
        case "nested":
            logger.bind(fact={"list": [text]}).info("m")
        case "key":
            logger.bind(fact={text: 1}).info("m")
        case "exception":
            try:
                raise ValueError(text)
            except ValueError:
                logger.exception("m")
        case "stdlib":
            logging.getLogger("library").error("%s and %r", text, text)
        case "long":
            logger.info("y" * (logs.TEXT_LIMIT - len(before) - len(secret) // 2) + text)
    written = out.text()
    assert written
    assert secret not in written
    for entry in written.splitlines() if format == "json" else ():
        assert secret not in str(json.loads(entry))
