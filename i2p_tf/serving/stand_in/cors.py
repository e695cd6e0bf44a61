"""Which other origins may ask from a browser: CORS, in front of an ASGI application."""

from collections.abc import Callable, Sequence

ANY = "*"
_METHODS, _FIELDS, _SECONDS = b"GET, POST, OPTIONS", b"Content-Type, Authorization", b"3600"


class Cors:
    """Answers OPTIONS, and tells browsers which pages may read the other answers.

    Args:
        app: an ASGI application.
        origins: as browsers write them, `https://example.org`; `*` for all.
    """

    def __init__(self, app: Callable, origins: Sequence[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        headers = self._headers(scope)
        if scope["method"] == "OPTIONS":
            preflight = [
                (b"allow", _METHODS),
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", _FIELDS),
                (b"access-control-max-age", _SECONDS),
            ]
            allowed = any(name == b"access-control-allow-origin" for name, _ in headers)
            headers += preflight if allowed else preflight[:1]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body"})
            return

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message = message | {"headers": [*message["headers"], *headers]}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _headers(self, scope):
        if ANY in self._origins:
            return [(b"access-control-allow-origin", b"*")]
        if not self._origins:
            return []
        origin = dict(scope["headers"]).get(b"origin", b"")
        varies = [(b"vary", b"Origin")]
        if origin.decode("latin-1") in self._origins:
            varies.append((b"access-control-allow-origin", origin))
        return varies
