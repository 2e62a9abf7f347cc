"""Which product a Coinbase URL is about, for answers that do not say."""

from dataclasses import dataclass
from functools import lru_cache

from infra.feeds.venues import wire

EXCHANGE = "coinbase"


@dataclass(frozen=True, slots=True)
class Product:
    """What a connector's URL says: `/products/BTC-USD/candles?granularity=60`."""

    id: str | None
    interval: str | None

    def name(self) -> str:
        """The product's id, BASE-QUOTE for spot; UNEXPECTED when the URL names none."""
        if self.id is None:
            raise wire.unexpected(
                "neither the frame names a product, nor does the connector's URL: /products/BTC-USD/..."
            )
        return wire.named(self.id, "product_id")


@lru_cache(maxsize=4096)
def product_of(url: str) -> Product:
    """The product behind a URL."""
    source = wire.source_of(url)
    id = source.query.get("product_id")
    if "products" in source.path[:-1]:
        id = source.path[source.path.index("products") + 1]
    return Product(id=id, interval=source.query.get("granularity"))
