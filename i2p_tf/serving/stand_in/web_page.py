"""The page that protects pictures in a browser, and the files of an export that it needs, at the address of the API."""

import asyncio
import base64
import contextlib
import hashlib
import os
import pathlib
import re
import stat
from collections.abc import Callable

import i2p_tf
from i2p_tf.client.manifest import MANIFEST
from i2p_tf.errors import InputError

INDEX = "index.html"
EXPORT = "/export/"  # addresses below this are files of the export
_RUNTIME = "node_modules/@litertjs/core"
SEND_SECONDS = 120.0  # in which a client has to take a file
_CHUNK_BYTES = 64 << 10
_EXPORT_FILE = re.compile(rf"{re.escape(MANIFEST)}|transform_[a-z0-9]+\.tflite|test_vectors\.json")

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tflite": "application/octet-stream",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}

# Isolated from other origins, a page may use threads; and it may ask nobody but this server.
_HEADERS = {
    "cache-control": "no-cache",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-opener-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_POLICY = (
    "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; script-src 'self' 'wasm-unsafe-eval'{hashes}; "
    "worker-src 'self' blob:; style-src 'self'"
)
_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)  # has to stand in the page


def folder() -> pathlib.Path:
    """Path of the page: in an installed package, or beside the package in a checkout.

    Raises:
        InputError: if it is in neither, or what it needs of npm is not installed.
    """
    package = pathlib.Path(i2p_tf.__file__).parent
    found = next((path for path in (package / "web", package.parent / "web") if (path / INDEX).is_file()), None)
    if found is None:
        raise InputError(f"--web needs the page {INDEX} of the folder web/, which this installation lacks")
    if not (found / _RUNTIME).is_dir():
        raise InputError(f"--web needs LiteRT for browsers, which is not installed; run: npm ci --prefix {found}")
    return found


class WebPage:
    """An ASGI application: files for GET and HEAD, and what belongs to the API goes to the API.

    Args:
        api: the application that answers below /v1 and everything but GET and HEAD.
        web: folder of the page.
        export: folder that bin/export has written.

    Attributes:
        headers: of all answers that are files, name -> value.
    """

    def __init__(self, api: Callable, web: pathlib.Path, export: pathlib.Path) -> None:
        self._api = api
        self._web = pathlib.Path(web)
        self._export = pathlib.Path(export)
        policy = _POLICY.format(hashes=_hashes((self._web / INDEX).read_bytes()))
        self.headers = _HEADERS | {"content-security-policy": policy}

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        method, path = scope["method"], scope["path"]
        if method not in ("GET", "HEAD") or path.startswith("/v1/"):
            await self._api(scope, receive, send)
        elif file := self._find(path):
            with contextlib.suppress(TimeoutError):  # the server closes the connection then
                async with asyncio.timeout(SEND_SECONDS):
                    await self._send_file(file, method == "GET", _known(scope), send)
        else:
            await self._send_head(404, {"content-type": _TYPES[".txt"], "content-length": "0"}, send)
            await send({"type": "http.response.body"})

    def _find(self, path):
        """The file behind the path of an address; None where there is none."""
        if path.startswith(EXPORT):
            name = path.removeprefix(EXPORT)
            return _file(self._export, name) if _EXPORT_FILE.fullmatch(name) else None
        return _file(self._web, path.removeprefix("/") or INDEX)

    async def _send_head(self, status, headers, send):
        encoded = [(name.encode(), value.encode()) for name, value in (self.headers | headers).items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})

    async def _send_file(self, path, with_body, known, send):
        """In pieces, each of which waits until the client has taken the former ones; nothing if the client has it."""
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            rest, tag = status.st_size, f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
            if tag in known:
                await self._send_head(304, {"etag": tag}, send)
                await send({"type": "http.response.body"})
                return
            kind = {"content-type": _TYPES[path.suffix], "content-length": str(rest), "etag": tag}
            await self._send_head(200, kind, send)
            while with_body and (content := await asyncio.to_thread(file.read, min(rest, _CHUNK_BYTES))):
                rest -= len(content)
                await send({"type": "http.response.body", "body": content, "more_body": True})
            if not with_body or not rest:  # else it has become shorter, and the server closes the connection
                await send({"type": "http.response.body"})


def _known(scope):
    """The tags of the contents that the client has already."""
    given = dict(scope["headers"]).get(b"if-none-match", b"").decode("latin-1")
    return [tag.strip().removeprefix("W/") for tag in given.split(",")]


def _hashes(page):
    """What a content security policy has to say so that a page may have its import map in it."""
    digests = [hashlib.sha256(script).digest() for script in _IMPORT_MAP.findall(page)]
    return "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _file(root, name):
    """The file of that name below a folder, if its type is known and no part of the name is hidden or leads outside."""
    parts = name.split("/")
    if any(not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts):
        return None
    try:
        path = (root / name).resolve(strict=True)
        regular = stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError, RuntimeError):
        return None
    return path if regular and path.suffix in _TYPES and path.is_relative_to(root.resolve()) else None
