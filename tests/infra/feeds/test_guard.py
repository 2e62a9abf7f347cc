import ssl

import httpx
import pytest

from domain.connectors import AddressRefused
from domain.errors import InvalidInput
from infra.feeds.checks import FeedChecks
from infra.feeds.guard import Guard, refusal, resolve
from tests.infra.feeds.factories import a_source


class Names:
    """A resolver whose answers change from one question to the next."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self._answers[min(self.asked, len(self._answers)) - 1]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "ff02::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::808:808",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert refusal(address) is not None


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808", "2606:4700::1111"],
)
def test_public_addresses_pass(address: str) -> None:
    assert refusal(address) is None


async def test_one_refused_address_of_a_host_is_enough() -> None:
    guard = Guard(resolve=Names(["8.8.8.8", "127.0.0.1"]))
    with pytest.raises(AddressRefused) as caught:
        await guard.addresses("mixed.example", 80)
    assert caught.value.host == "mixed.example"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "localhost", "::1"])
async def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises(AddressRefused):
        await Guard().addresses(host, 80)


async def test_private_addresses_pass_where_they_are_allowed() -> None:
    assert await Guard(allow_private=True).addresses("127.0.0.1", 80) == ["127.0.0.1"]
    assert "127.0.0.1" in await resolve("localhost", 80)


async def test_a_host_without_addresses_cannot_be_reached() -> None:
    with pytest.raises(OSError, match="no address"):
        await Guard(resolve=Names([])).addresses("nowhere.example", 80)


async def test_http_goes_to_the_checked_address_and_asks_for_the_host_by_name() -> None:
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    async with a_source(lambda asked, source: (200, {}, b"here")) as source:
        port = httpx.URL(source.url).port
        guard = Guard(allow_private=True, resolve=names)
        async with httpx.AsyncClient(transport=guard.transport()) as client:
            response = await client.get(f"http://feed.example:{port}/path")
    assert response.text == "here"
    assert names.asked == 1
    assert source.asked[0].headers["host"] == f"feed.example:{port}"


async def test_a_name_that_turns_to_loopback_later_is_refused_then() -> None:
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    guard = Guard(resolve=names)
    await FeedChecks(guard).check_address("https://rebinding.example/")
    async with httpx.AsyncClient(transport=guard.transport()) as client:
        with pytest.raises(AddressRefused):
            await client.get("http://rebinding.example:9/")


async def test_a_dead_address_is_passed_over_for_the_next() -> None:
    async with a_source(lambda asked, source: (200, {}, b"here")) as source:
        url = httpx.URL(source.url).copy_with(host="two.example")
        guard = Guard(allow_private=True, resolve=Names(["127.0.0.2", "127.0.0.1"]))
        async with httpx.AsyncClient(transport=guard.transport()) as client:
            assert (await client.get(url)).text == "here"


async def test_http_and_websockets_never_share_tls_settings() -> None:
    guard = Guard(tls=ssl.create_default_context)
    assert guard.tls("http") is guard.tls("http")
    assert guard.tls("http") is not guard.tls("websocket")


async def test_checks_tell_the_field_at_fault() -> None:
    checks = FeedChecks(Guard())
    with pytest.raises(InvalidInput) as caught:
        checks.check_signing({"headers": {"X-Sign": "{body}"}})
    assert caught.value.field == "signing.headers.X-Sign"
    with pytest.raises(InvalidInput) as caught:
        checks.check_mapping({"price": "a..b"})
    assert caught.value.field == "mapping.price"
    with pytest.raises(AddressRefused):
        await checks.check_address("wss://127.0.0.1/ws")
    await checks.check_address("https://nowhere.invalid/")
    for host in ("0177.0.0.1", "①②⑦.⓪.⓪.①"):
        with pytest.raises(InvalidInput) as caught:
            await checks.check_address(f"https://{host}/")
        assert caught.value.field == "url"
