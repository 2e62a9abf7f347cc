import asyncio
from collections.abc import Iterator

import pytest
from loguru import logger
from prometheus_client import generate_latest

from domain.identity import Mail
from infra.mail.post import Posting
from infra.measures import measure_post
from infra.web.metrics import Metrics

TOKEN = "a-token-nobody-may-read"


def mail(number: int = 0) -> Mail:
    return Mail(f"ada{number}@example.com", "Hello", TOKEN)


class Office:
    """A mailer that can be closed, or broken."""

    def __init__(self, broken: bool = False) -> None:
        self.sent: list[Mail] = []
        self.open = asyncio.Event()
        self.open.set()
        self.broken = broken

    async def send(self, mail: Mail) -> None:
        await self.open.wait()
        if self.broken:
            raise ConnectionError("the mail server is away")
        self.sent.append(mail)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="ERROR")
    yield lines
    logger.remove(sink)


async def test_a_mail_is_taken_at_once_and_delivered_later():
    office = Office()
    office.open.clear()
    posting = Posting(office)
    await posting.start()
    posting.send(mail(), "request-1")
    assert office.sent == []
    office.open.set()
    await posting.idle()
    assert office.sent == [mail()]
    await posting.close()


async def test_what_cannot_be_sent_is_logged_with_its_request_and_without_its_text(
    logged: list[str],
):
    office = Office(broken=True)
    posting = Posting(office)
    await posting.start()
    posting.send(mail(), "request-7")
    await posting.idle()
    office.broken = False
    posting.send(mail(1), "request-8")
    await posting.close()
    assert office.sent == [mail(1)]
    assert posting.failures == len(logged) == 1
    assert "request-7" in logged[0]
    assert "the mail server is away" in logged[0]
    assert TOKEN not in logged[0]
    assert "ada0@example.com" not in logged[0]


async def test_a_full_queue_gives_up_what_it_cannot_take(logged: list[str]):
    posting = Posting(Office(), depth=2)
    for number in range(3):
        posting.send(mail(number), f"request-{number}")
    assert posting.failures == 1
    assert "request-2" in logged[0]
    await posting.start()
    await posting.close()
    assert posting.failures == 1


async def test_metrics_tell_of_mails_that_wait_and_of_those_given_up():
    office, metrics = Office(broken=True), Metrics()
    office.open.clear()
    posting = Posting(office, depth=3, senders=1)
    measure_post(metrics, posting)
    await posting.start()
    for number in range(2):
        posting.send(mail(number), "request-1")
    await asyncio.sleep(0)
    assert told(metrics) == {"waiting": 2, "given_up_total": 0}
    office.open.set()
    await posting.idle()
    assert told(metrics) == {"waiting": 0, "given_up_total": 2}
    await posting.close()


def told(metrics: Metrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    found = (line.split() for line in lines if line.startswith("penstock_mails_"))
    return {name.removeprefix("penstock_mails_"): float(value) for name, value in found}


async def test_stopping_delivers_what_is_left():
    office = Office()
    posting = Posting(office)
    for number in range(5):
        posting.send(mail(number), "request-1")
    await posting.start()
    await posting.close()
    assert len(office.sent) == 5
