"""The address a request counts as: what proxies say, where they are known, and nobody else."""

from typing import Any

import pytest

from infra.web.proxies import Proxies

PROXY = "10.0.0.7"


async def seen(
    client: str, trusted: list[str], *headers: tuple[str, str], type: str = "http"
) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    scope = {
        "type": type,
        "scheme": "http" if type == "http" else "ws",
        "client": (client, 5000),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    await Proxies(app, trusted)(scope, None, None)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("198.51.100.9:4711", "198.51.100.9"),
        ("203.0.113.1, 198.51.100.9", "198.51.100.9"),
        ("203.0.113.1, 198.51.100.9, 10.0.0.8", "198.51.100.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("10.0.0.9, 10.0.0.8", "10.0.0.9"),
        ("made up, 198.51.100.9", "198.51.100.9"),
        ("198.51.100.9, made up", PROXY),
        ("", PROXY),
    ],
)
async def test_behind_a_known_proxy_the_right_most_address_that_is_no_proxy_asks(
    forwarded: str, address: str
) -> None:
    scope = await seen(PROXY, ["10.0.0.0/8"], ("x-forwarded-for", forwarded))
    assert scope["client"][0] == address


async def test_several_headers_are_one_list() -> None:
    headers = (("x-forwarded-for", "203.0.113.1"), ("x-forwarded-for", "198.51.100.9"))
    assert (await seen(PROXY, [PROXY], *headers))["client"][0] == "198.51.100.9"


@pytest.mark.parametrize("trusted", [[], ["10.0.0.8"], ["192.168.0.0/16"]])
async def test_nobody_else_is_believed(trusted: list[str]) -> None:
    scope = await seen(
        PROXY,
        trusted,
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("host", "api.example.com"),
    )
    assert scope["client"] == (PROXY, 5000)
    assert scope["scheme"] == "http"
    assert scope["headers"] == [(b"host", b"api.example.com")]


@pytest.mark.parametrize(("type", "scheme"), [("http", "https"), ("websocket", "wss")])
async def test_a_known_proxy_says_by_which_scheme_and_name_it_was_asked(
    type: str, scheme: str
) -> None:
    scope = await seen(
        "::ffff:10.0.0.7",
        ["10.0.0.0/8"],
        ("host", "penstock:8000"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "api.example.com"),
        type=type,
    )
    assert scope["scheme"] == scheme
    assert scope["headers"] == [(b"host", b"api.example.com")]


async def test_a_scheme_nobody_knows_changes_nothing() -> None:
    scope = await seen(PROXY, [PROXY], ("x-forwarded-proto", "gopher"))
    assert scope["scheme"] == "http"
