"""Settings: read from `PENSTOCK_*` variables and `.env`, checked at start, secrets never shown."""

from infra.settings.identity import OpenIdProvider
from infra.settings.loading import (
    InvalidSettings,
    load_settings,
    settings_problems,
    unknown_variables,
    variable,
)
from infra.settings.model import ENV_FILE, NEW_KEY, PREFIX, LogFormat, LogLevel, Settings
from infra.settings.table import settings_table

__all__ = [
    "ENV_FILE",
    "NEW_KEY",
    "PREFIX",
    "InvalidSettings",
    "LogFormat",
    "LogLevel",
    "OpenIdProvider",
    "Settings",
    "load_settings",
    "settings_problems",
    "settings_table",
    "unknown_variables",
    "variable",
]
