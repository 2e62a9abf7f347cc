"""Where a client's credential may stand, and which of several counts."""

import pytest
from starlette.datastructures import Headers
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from domain.identity import Unauthenticated
from infra.web.admission import Admission, Offer, offer_in, offer_in_payload
from infra.web.entrance import Entrance
from infra.web.health import Health
from infra.web.metrics import Metrics
from infra.web.routes import create_web
from infra.web.websocket import WebSocketEndpoint
from tests.infra.web.sample import World
from tests.infra.web.serving import Anybody, operations, served

FROM_HEADERS = Offer("of the handshake", "1")


class Listening(Anybody):
    """Lets everybody in, and remembers what they offered."""

    offers: list[Offer]

    async def admit(self, offer: Offer) -> Admission:
        self.offers.append(offer)
        return await super().admit(offer)


@pytest.mark.parametrize(
    ("payload", "offer"),
    [
        (None, FROM_HEADERS),
        ({}, FROM_HEADERS),
        ({"authorization": "Bearer t"}, Offer("t", "1")),
        ({"Authorization": "bearer  t "}, Offer("t", "1")),
        ({"workspace": "2"}, Offer("of the handshake", "2")),
        ({"X-Penstock-Workspace": "2", "authorization": "Bearer t"}, Offer("t", "2")),
    ],
)
def test_what_connection_init_says_counts_before_the_handshake(payload, offer) -> None:
    assert offer_in_payload(payload, FROM_HEADERS) == offer


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Basic abc", "t", "Bearer " + "t" * 9000]
)
def test_what_is_no_bearer_token_is_refused(given: str) -> None:
    with pytest.raises(Unauthenticated):
        offer_in(Headers({"authorization": given}))


@pytest.mark.parametrize(("allowed", "token"), [(False, None), (True, "secret")])
async def test_a_token_in_the_url_counts_only_where_settings_say_so(
    allowed: bool, token: str | None
) -> None:
    authentication, performed = Listening(), operations(World())
    authentication.offers = []
    entrance = Entrance(authentication)
    sockets = WebSocketEndpoint(performed, entrance, token_parameter=allowed)
    web = create_web(performed, entrance, sockets, Health({}), Metrics())
    async with served(web) as url:
        place = f"{url.replace('http', 'ws', 1)}/graphql?token=secret"
        async with connect(place, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send('{"type":"connection_init"}')
            await socket.recv()
    assert authentication.offers == [Offer(token)]
