import base64
import os
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import (
    InvalidSettings,
    Settings,
    load_settings,
    settings_table,
    unknown_variables,
    variable,
)

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("PENSTOCK_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    for name, value in variables.items():
        monkeypatch.setenv(variable(name), value)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    return caught.value.problems


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert settings.database_url is None
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.encryption_keys == []


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text(
        "PENSTOCK_PORT=1001\nPENSTOCK_BATCH_ROWS=11\nPENSTOCK_RETENTION_DAYS=7\n"
    )
    monkeypatch.setenv("PENSTOCK_PORT", "1002")
    monkeypatch.setenv("PENSTOCK_BATCH_ROWS", "12")
    settings = load_settings(port=1003)
    assert (settings.port, settings.batch_rows, settings.retention_days) == (1003, 12, 7)


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_ENCRYPTION_KEYS", f"{KEY}, {OTHER_KEY}")
    monkeypatch.setenv("PENSTOCK_CORS_ORIGINS", "https://a.example,http://localhost:3000")
    settings = load_settings()
    assert [key.get_secret_value() for key in settings.encryption_keys] == [KEY, OTHER_KEY]
    assert settings.cors_origins == ["https://a.example", "http://localhost:3000"]


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_DATABASE_URL", "")
    monkeypatch.setenv("PENSTOCK_PORT", "")
    assert load_settings().database_url is None
    assert load_settings().port == 8000


def test_all_problems_are_reported_at_once_with_the_variable_and_how_to_mend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = problems(
        monkeypatch,
        port="70000",
        batch_rows="many",
        buffer_rows="10",
        log_level="loud",
        demo="perhaps",
        database_url="mysql://u:hunter2@h/x",
        encryption_keys=f"{KEY},aGVsbG8=",
        cors_origins="https://a.example/path",
    )
    by_name = {line.split(":")[0].split(" ")[0]: line for line in found}
    assert set(by_name) == {
        variable(name)
        for name in (
            "port", "batch_rows", "buffer_rows", "log_level", "demo",
            "database_url", "encryption_keys", "cors_origins",
        )
    }  # fmt: skip
    assert "--port" in by_name["PENSTOCK_PORT"]
    assert "65535" in by_name["PENSTOCK_PORT"]
    assert "the default is 5000" in by_name["PENSTOCK_BATCH_ROWS"]
    assert "'DEBUG'" in by_name["PENSTOCK_LOG_LEVEL"]
    assert "postgresql://" in by_name["PENSTOCK_DATABASE_URL"]
    assert (
        "key 2: an encryption key must be 32 bytes of base64, not 5"
        in by_name["PENSTOCK_ENCRYPTION_KEYS"]
    )
    assert "penstock keys generate" in by_name["PENSTOCK_ENCRYPTION_KEYS"]


def test_the_buffer_must_hold_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = problems(monkeypatch, batch_rows="5000", buffer_rows="4999")
    assert line.startswith("PENSTOCK_BUFFER_ROWS: must be at least PENSTOCK_BATCH_ROWS (5000)")


@pytest.mark.parametrize("url", ["nonsense", "postgresql:/x", "postgresql://h:port/x", "http://h"])
def test_a_database_url_must_be_one(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    [line] = problems(monkeypatch, database_url=url)
    assert line.startswith("PENSTOCK_DATABASE_URL: ")
    assert url not in line


def test_a_bus_must_be_memory_or_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    [line] = problems(monkeypatch, bus_url="kafka://h")
    assert line.startswith("PENSTOCK_BUS_URL: must be a URL such as memory:// or redis://")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("trusted_proxies", "10.0.0.0/8,nowhere", "'nowhere' is neither an address nor a network"),
        ("trusted_documents_only", "true", "needs PENSTOCK_TRUSTED_DOCUMENTS"),
        ("rate_limit_url", "http://127.0.0.1", "memory://"),
    ],
)
def test_a_front_door_that_means_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    [line] = problems(monkeypatch, **{name: value})
    assert says in line


secrets = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=12)


@given(password=secrets, key=secrets, bus=secrets)
def test_secrets_appear_neither_in_problems_nor_in_the_traceback(
    password: str, key: str, bus: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load_settings(
            database_url=f"mysql://u:{password}@h/x",
            encryption_keys=key + "!",
            bus_url=f"nats://:{bus}@h",
        )
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.problems)
    assert len(caught.value.problems) == 3
    for secret in (password, key, bus):
        assert secret not in shown


def test_secrets_appear_in_no_representation_of_the_settings() -> None:
    settings = Settings(
        database_url="postgresql://u:hunter2-hunter2@h/x",  # type: ignore[arg-type]
        bus_url="redis://:swordfish@h",  # type: ignore[arg-type]
        encryption_keys=[KEY],  # type: ignore[list-item]
    )
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    for secret in ("hunter2-hunter2", "swordfish", KEY):
        assert secret not in shown
    assert set(settings.secrets()) == {"hunter2-hunter2", "swordfish", KEY}


def test_a_password_is_known_as_written_and_as_meant() -> None:
    settings = load_settings(database_url="postgresql://u:p%40ss-w%2Frd@h/x")
    assert {"p%40ss-w%2Frd", "p@ss-w/rd"} <= set(settings.secrets())


def test_unknown_variables_are_named_with_the_nearest_setting(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("PENSTOCK_RETENTION_DAY=3\nOTHER=1\n")
    warnings = unknown_variables(
        {"PENSTOCK_BACTH_ROWS": "1", "PENSTOCK_PORT": "1", "PENSTOCK_QQQQ": "1", "HOME": "/"}, file
    )
    assert warnings == [
        "PENSTOCK_BACTH_ROWS: is no setting of Penstock; did you mean PENSTOCK_BATCH_ROWS?",
        "PENSTOCK_QQQQ: is no setting of Penstock",
        "PENSTOCK_RETENTION_DAY: is no setting of Penstock; did you mean PENSTOCK_RETENTION_DAYS?",
    ]


def test_a_file_that_is_no_text_is_a_problem_not_a_traceback() -> None:
    Path(".env").write_bytes(b"PENSTOCK_PORT=\xff\xfe\n")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert caught.value.problems == [".env: is not UTF-8 text; save it as UTF-8"]


def test_the_table_in_the_docs_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text() == settings_table(), (
        "uv run python -m infra.settings > docs/settings.md"
    )


def test_every_setting_is_described_and_every_number_is_bounded() -> None:
    schema = Settings.model_json_schema()["properties"]
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if schema[name].get("type") in {"integer", "number"}:
            assert {"minimum", "maximum"} <= set(schema[name]), name
