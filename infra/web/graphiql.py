"""GraphiQL from assets in the package: the page, and its scripts, styles, fonts and workers."""

import gzip
from pathlib import Path
from typing import Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

ASSETS: Final = Path(__file__).parent / "static" / "graphiql"
PAGE_POLICY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "worker-src 'self'; "
    "style-src 'self' 'unsafe-inline'; "  # the editor positions its parts by style attributes
    "img-src 'self' data:; "
    "font-src 'self' data:; "
    "connect-src 'self'; "
    "base-uri 'none'; "
    "form-action 'none'; "
    "frame-ancestors 'none'"
)
FACTS: Final = b'<script type="application/json" id="penstock">%s</script>'
NO_FACTS: Final = FACTS % b"{}"
TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".ttf": "font/ttf",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}


class Graphiql:
    """The page, and the assets by name; some 2 MB, kept compressed in memory.

    With `demo`, the e-mail address of the demo's user, the page signs in as them with one click.
    """

    def __init__(self, directory: Path = ASSETS, *, demo: str | None = None) -> None:
        page = (directory / "index.html").read_bytes()
        self._page = page.replace(NO_FACTS, FACTS % orjson.dumps({"demo": demo}))
        self._assets = {
            path.name.removesuffix(".gz"): path.read_bytes() for path in directory.glob("*.gz")
        }
        licences = (directory / "LICENCES.txt").read_bytes()
        self._assets["LICENCES.txt"] = gzip.compress(licences, mtime=0)

    @property
    def names(self) -> frozenset[str]:
        """Names of all assets."""
        return frozenset(self._assets)

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page itself, allowed to load from its own origin alone."""
        headers = {
            "content-security-policy": PAGE_POLICY,
            "cache-control": "no-cache",
            "vary": "accept",
        }
        response = Response(self._page, headers=headers, media_type="text/html")
        await response(scope, receive, send)

    async def asset(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An asset by the last part of the path; its name changes when it does, so caches keep it."""
        name = str(scope["path"]).rpartition("/")[2]
        content = self._assets.get(name)
        if content is None:
            response = Response("No such asset", 404, media_type="text/plain")
            await response(scope, receive, send)
            return
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "vary": "accept-encoding",
        }
        accepted = b",".join(value for key, value in scope["headers"] if key == b"accept-encoding")
        if b"gzip" in accepted:
            headers["content-encoding"] = "gzip"
        else:
            content = gzip.decompress(content)
        media_type = TYPES.get(Path(name).suffix, "application/octet-stream")
        response = Response(content, headers=headers, media_type=media_type)
        await response(scope, receive, send)
