"""Reading the settings, and saying all that is wrong with them."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from infra.settings.model import ENV_FILE, PREFIX, TEST_PREFIX, Settings


class InvalidSettings(Exception):
    """The settings cannot be used; `problems` has a line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and `.env`; `overrides` win. Raises InvalidSettings with all problems."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = settings_problems(error)
    except UnicodeDecodeError:
        problems = [f"{ENV_FILE}: is not UTF-8 text; save it as UTF-8"]
    except OSError as error:
        problems = [f"{ENV_FILE}: cannot be read ({error.strerror}); let this user read it"]
    # raised here and not in the handler: what pydantic saw may be a secret and stays out of tracebacks
    raise InvalidSettings(problems)


def settings_problems(error: ValidationError) -> list[str]:
    """A line for each problem: the variable, what is wrong with it and how to mend it; never its value."""
    return [_problem(item) for item in error.errors(include_url=False, include_input=False)]


def unknown_variables(
    environment: Mapping[str, str] | None = None, env_file: Path = ENV_FILE
) -> list[str]:
    """A line for each `PENSTOCK_*` variable that no setting has, with the nearest name when one is near."""
    given = set(os.environ if environment is None else environment)
    if env_file.is_file():
        given |= set(dotenv_values(env_file))
    known = [variable(name) for name in Settings.model_fields]
    warnings = []
    for name in sorted(name for name in given if name.upper().startswith(PREFIX)):
        if name.upper() in known or name.startswith(TEST_PREFIX):
            continue
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
        hint = f"; did you mean {near[0]}?" if near else ""
        warnings.append(f"{name}: is no setting of Penstock{hint}")
    return warnings


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def _problem(item: Any) -> str:
    reason = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    field = str(item["loc"][0])
    setting = Settings.model_fields[field]
    if item["type"] != "value_error":
        reason = f"must be {reason}" if item["msg"].startswith("Input should be ") else reason
    name = variable(field)
    if field in {"host", "port", "data_dir"}:
        name += f" (or --{field.replace('_', '-')})"
    example = "" if setting.default in (None, []) else f"; the default is {shown(setting.default)}"
    return f"{name}: {reason}{example}"


def shown(default: object) -> str:
    """A default as an operator would write it."""
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, bool):
        return str(default).lower()
    return str(default)
