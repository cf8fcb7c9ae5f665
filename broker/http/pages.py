"""The HTML pages and their static files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from broker.http.identity import account_of

PUBLIC_PAGES = {"/": "index", "/sign-in": "sign-in"}
SIGNED_IN_PAGES = {
    "/console": "console",
    "/session/{session}": "session",
    "/incidents": "incidents",
    "/incidents/{incident}": "incident",
}
ASSETS = ("js", "css", "locales", "img")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(root: Path) -> list[web.AbstractRouteDef]:
    """Routes of all pages; `root` is the `web` folder."""
    public = [web.get(path, _page(root, name)) for path, name in PUBLIC_PAGES.items()]
    private = [
        web.get(path, _signed_in(_page(root, name))) for path, name in SIGNED_IN_PAGES.items()
    ]
    assets = [web.static(f"/static/{name}", root / name) for name in ASSETS]
    return [*public, *private, *assets]


def _page(root: Path, name: str) -> Handler:
    file = root / "pages" / f"{name}.html"

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file, headers={"Cache-Control": "no-cache"})

    return handler


def _signed_in(page: Handler) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if await account_of(request) is None:
            raise web.HTTPSeeOther(f"/sign-in?next={quote(request.path, safe='')}")
        return await page(request)

    return handler
