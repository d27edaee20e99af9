"""The files that the pages load: one style sheet, one script, one icon. They need no sign-in."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from adapters.http.console.context import PATH

FOR_EVER = "public, max-age=31536000, immutable"  # another content has another address
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class File:
    """A file, its type, and the address that changes with its content."""

    content: bytes
    media_type: str
    url: str


def _files() -> dict[str, File]:
    files = {}
    for path in sorted((Path(__file__).parent / "static").iterdir()):
        if path.suffix in MEDIA_TYPES:
            content = path.read_bytes()
            url = f"{PATH}/static/{path.name}?v={hashlib.sha256(content).hexdigest()[:12]}"
            files[path.name] = File(content, MEDIA_TYPES[path.suffix], url)
    return files


STATIC = _files()


def static_router() -> APIRouter:
    """The route of the files."""
    router = APIRouter()

    @router.get("/static/{name}")
    async def static_file(name: str) -> Response:
        file = STATIC.get(name)
        if file is None:
            raise HTTPException(404, f"there is no file {name}")
        headers = {"Cache-Control": FOR_EVER}
        return Response(file.content, media_type=file.media_type, headers=headers)

    return router
