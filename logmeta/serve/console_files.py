"""The page at `/`: files as they lie in `console/`, served with headers that let nothing else in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from logmeta.serve.answers import refuse
from logmeta.serve.scorer import Scorer

INDEX: Final = "index.html"
TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # where a browser knows it, text cannot become HTML at all
        "trusted-types 'none'",
    ]
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked about each time, so that an upgrade shows at once
}


@dataclass(frozen=True, slots=True)
class ConsoleFile:
    """One file of the page."""

    content: bytes
    media_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.blake2s(self.content, digest_size=16).hexdigest()}"'


@cache
def console_files() -> dict[str, ConsoleFile]:
    """Every file of the page by its name, read once."""
    folder = files("logmeta.serve") / "console"
    found = {path.name: path.name.rpartition(".")[2] for path in folder.iterdir()}
    return {
        name: ConsoleFile((folder / name).read_bytes(), TYPES[kind]) for name, kind in found.items() if kind in TYPES
    }


async def show_page(scorer: Scorer, request: Request) -> Response:
    """`GET /` and `GET /console/NAME`: the page and its files. They hold no data, so they ask for no token."""
    name = request.path_params.get("name", INDEX)
    file = console_files().get(name)
    if file is None:
        return refuse(scorer, 404, "unknown_path", f"the page has no file {name[:100]!r}; it is at /")
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={**HEADERS, "ETag": file.etag})
    return Response(file.content, media_type=file.media_type, headers={**HEADERS, "ETag": file.etag})
