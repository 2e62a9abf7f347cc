"""Every code a request can be refused with has one status, in one table, which clients can read."""

import re

from schema.errors import STATUSES
from tests.documents import ROOT

CODE = re.compile(r'(?:"code": |code: str = |Refusal\([^"]*(?:"[^"]*"[^"]*)?")"?([A-Z][A-Z_]{5,})"')
ROW = re.compile(r"^\| (`[A-Z_`, ]+`) \| ([^|]+) \|", re.MULTILINE)


def test_the_table_holds_every_code_that_is_given() -> None:
    given = set()
    for folder in ("infra/web", "schema/errors"):
        for source in (ROOT / folder).rglob("*.py"):
            given |= set(CODE.findall(source.read_text()))
    assert {"UNAUTHENTICATED", "FORBIDDEN", "RATE_LIMITED"} <= given
    assert given <= STATUSES.keys()


def test_clients_read_of_every_code_and_its_status() -> None:
    told = {}
    for codes, statuses in ROW.findall((ROOT / "docs/clients.md").read_text()):
        told |= {code.strip("` "): statuses for code in codes.split(",")}
    for code, status in STATUSES.items():
        assert str(status) in told.get(code, ""), code
