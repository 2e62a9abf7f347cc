"""Passwords that many people use, as bundled; sources and licences are in common_passwords.NOTICE."""

from functools import cached_property
from pathlib import Path

_FILE = Path(__file__).with_suffix(".txt")


class CommonPasswords:
    """A container of lower-case passwords, read when first asked."""

    def __contains__(self, password: object) -> bool:
        return password in self._all

    @cached_property
    def _all(self) -> frozenset[str]:
        lines = _FILE.read_text(encoding="utf-8").splitlines()
        return frozenset(line for line in lines if not line.startswith("# "))
