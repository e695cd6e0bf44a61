"""The page and CORS as ASGI applications, and the flags that ask for them."""

import asyncio
import base64
import hashlib
import subprocess
import sys

import pytest

from i2p_tf.errors import InputError
from i2p_tf.serving import ports
from i2p_tf.serving.stand_in import rest_server, web_page
from i2p_tf.serving.stand_in.cors import Cors
from i2p_tf.serving.stand_in.web_page import WebPage

IMPORT_MAP = '\n{"imports": {}}\n'
MODULE = "export const x = 1;" * 10_000


@pytest.fixture
def page(tmp_path):
    web, export = tmp_path / "web", tmp_path / "export"
    for file, content in [
        (web / "index.html", f'<!doctype html><script type="importmap">{IMPORT_MAP}</script>'),
        (web / "page.js", MODULE),
        (web / "wasm" / "a.mjs", "a"),
        (web / "wasm" / "b.wasm", "b"),
        (web / "empty.css", ""),
        (web / ".npmrc", "secret"),
        (web / ".git" / "a.js", "secret"),
        (web / "program.py", "secret"),
        (export / "manifest.json", "{}"),
        (export / "transform_int8.tflite", "t"),
        (export / "MODEL_CARD.md", "secret"),
        (export / "classifier" / "1" / "saved_model.pb", "secret"),
        (tmp_path / "outside.js", "secret"),
    ]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (web / "link.js").symlink_to(tmp_path / "outside.js")
    (web / "loop.js").symlink_to(web / "loop.js")
    return WebPage(api, web, export)


async def api(scope, receive, send):
    """Says what it was asked."""
    body = f"{scope['method']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def ask(app, path, method="GET", **headers):
    """Status, headers and body of an answer."""
    sent = []

    async def send(message):
        sent.append(message)

    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(app({"method": method, "path": path, "headers": fields}, None, send))
    start, *parts = sent
    assert not parts[-1].get("more_body") and all(part["more_body"] for part in parts[:-1])
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], answered, b"".join(part.get("body", b"") for part in parts)


def test_files_have_their_types_and_isolate_the_page(page):
    for path, kind, body in [
        ("/", "text/html; charset=utf-8", None),
        ("/index.html", "text/html; charset=utf-8", None),
        ("/page.js", "text/javascript; charset=utf-8", MODULE.encode()),
        ("/wasm/a.mjs", "text/javascript; charset=utf-8", b"a"),
        ("/wasm/b.wasm", "application/wasm", b"b"),
        ("/empty.css", "text/css; charset=utf-8", b""),
        ("/export/manifest.json", "application/json", b"{}"),
        ("/export/transform_int8.tflite", "application/octet-stream", b"t"),
    ]:
        status, headers, content = ask(page, path)
        assert (status, headers["content-type"]) == (200, kind), path
        assert body is None or content == body
        assert headers["content-length"] == str(len(content))
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["x-content-type-options"] == "nosniff"
        digest = base64.b64encode(hashlib.sha256(IMPORT_MAP.encode()).digest()).decode()
        assert headers["content-security-policy"] == (
            "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; script-src 'self' 'wasm-unsafe-eval' "
            f"'sha256-{digest}'; worker-src 'self' blob:; style-src 'self'"
        )
        assert ask(page, path, "HEAD") == (200, headers, b"")


def test_a_file_that_the_browser_has_is_not_sent_again(page, tmp_path):
    _, headers, _ = ask(page, "/page.js")
    tag = {"if-none-match": f'"other", W/{headers["etag"]}'}
    for method in ("GET", "HEAD"):
        status, known, content = ask(page, "/page.js", method, **tag)
        assert (status, content) == (304, b"") and known["etag"] == headers["etag"]
        assert "content-length" not in known
    (tmp_path / "web" / "page.js").write_text("changed")
    assert ask(page, "/page.js", **tag)[2] == b"changed"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/nothing.js",
            "/page.js/",
            "/page.js/x",
            "/wasm",
            "/wasm/",
            "//page.js",
            "/./page.js",
            "/\0.js",
            "/" + "a" * 9000,
        ),
        *("/../outside.js", "/wasm/../../outside.js", "/link.js", "/loop.js", "/..\\outside.js", "//etc/hostname"),
        *("/.npmrc", "/.git/a.js", "/program.py", "/export", "/export/", "/export/MODEL_CARD.md"),
        *("/export/classifier/1/saved_model.pb", "/export/../outside.js", "/export/transform_../x.tflite", "/v1"),
    ],
)
def test_other_addresses_have_nothing(path, page):
    status, headers, content = ask(page, path)
    assert (status, content) == (404, b"") and headers["x-content-type-options"] == "nosniff"


def test_the_api_stays_as_it_is(page):
    for method, path in [("GET", "/v1/models/m"), ("POST", "/v1/models/m:predict"), ("POST", "/"), ("PUT", "/page.js")]:
        assert ask(page, path, method) == (200, {"content-type": "application/json"}, f"{method} {path}".encode())


def test_origins_that_are_allowed():
    allowed = {"access-control-allow-origin": "https://a.example", "vary": "Origin"}
    app = Cors(api, ["https://a.example", "http://b.example:8080"])
    status, headers, content = ask(app, "/v1/x", "OPTIONS", origin="https://a.example")
    assert (status, content) == (204, b"") and allowed.items() <= headers.items()
    assert "POST" in headers["access-control-allow-methods"]
    assert "Content-Type" in headers["access-control-allow-headers"]
    status, headers, content = ask(app, "/v1/x", "POST", origin="https://a.example")
    assert (status, content) == (200, b"POST /v1/x") and allowed.items() <= headers.items()
    for method in ("OPTIONS", "POST"):
        for origin in ({}, {"origin": "https://a.example.evil"}, {"origin": "null"}, {"origin": "http://a.example"}):
            _, headers, _ = ask(app, "/v1/x", method, **origin)
            assert "access-control-allow-origin" not in headers and headers["vary"] == "Origin"
    _, headers, _ = ask(Cors(api, ["*"]), "/v1/x", origin="https://c.example")
    assert headers["access-control-allow-origin"] == "*"


def test_without_origins_no_page_of_others_may_ask():
    assert ask(Cors(api, []), "/v1/x", "OPTIONS", origin="https://a.example") == (
        204,
        {"allow": "GET, POST, OPTIONS"},
        b"",
    )
    assert ask(Cors(api, []), "/v1/x", origin="https://a.example")[1] == {"content-type": "application/json"}


def test_by_http(page):
    """Whole, by one connection that stays open, whatever the way the address is written."""

    async def work():
        bound = ports.bind("127.0.0.1", 0, "--rest_port")
        server, running = await rest_server.start(Cors(page, []), bound, 9, 1)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        try:
            for method, path, expected in [
                ("GET", "/page.js", (b"200", MODULE.encode())),
                ("HEAD", "/page.js", (b"200", b"")),
                ("GET", "/empty.css", (b"200", b"")),
                ("OPTIONS", "/v1/models/m:predict", (b"204", b"")),
                ("GET", "/%2e%2e/outside.js", (b"404", b"")),
                ("GET", "/..%2foutside.js", (b"404", b"")),
                ("GET", "/%00.js", (b"404", b"")),
                ("GET", "/page.js?x=1", (b"200", MODULE.encode())),
            ]:
                writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0] or 0)
                body = await reader.readexactly(length if method == "GET" else 0)
                assert (head.split()[1], body) == expected, path
        finally:
            writer.close()
            server.should_exit = True
            await running

    asyncio.run(work())


def test_a_page_that_cannot_be_served(tmp_path, monkeypatch):
    package = tmp_path / "i2p_tf"
    monkeypatch.setattr("i2p_tf.__file__", str(package / "__init__.py"))
    with pytest.raises(InputError, match="--web needs the page index.html of the folder web/"):
        web_page.folder()
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "index.html").write_text("")
    with pytest.raises(InputError, match=f"not installed; run: npm ci --prefix {tmp_path}/web"):
        web_page.folder()
    (tmp_path / "web" / "node_modules" / "@litertjs" / "core").mkdir(parents=True)
    assert web_page.folder() == tmp_path / "web"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--allow_origin=example.org"], "no origin; allowed: *, or scheme and host"),
        (["--allow_origin=https://a.example,https://b.example/path"], "--allow_origin='https://b.example/path'"),
        (["--web", "--output=x"], "--web is for the stand-in"),
        (["--web", "--export=a,b"], "--web is for one export. Received: a,b"),
    ],
)
def test_bad_flags(arguments, message):
    command = [sys.executable, "-m", "i2p_tf.cli.serve", "--export=x", *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1 and message in result.stderr
