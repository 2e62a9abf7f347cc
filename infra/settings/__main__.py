"""Prints the page `docs/settings.md`."""

import sys

from infra.settings.table import settings_table

sys.stdout.write(settings_table())
