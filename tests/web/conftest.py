import chromium
import page_server
import pytest


@pytest.fixture(scope="session")
def server():
    with page_server.PageServer().running() as server:
        yield server


@pytest.fixture(scope="session")
def window(server):
    """A Chromium with a camera that shows a test picture; skips what needs it where it can't be had."""
    if missing := chromium.missing():
        pytest.skip(f"not installed: {' and '.join(missing)} (Debian's packages chromium and chromium-driver)")
    if not (page_server.ROOT / "web" / "node_modules" / "@litertjs" / "core").is_dir():
        pytest.skip("LiteRT for browsers is not installed: npm ci in web/")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with chromium.start([*camera, "--host-resolver-rules=MAP house.test 127.0.0.1"]) as browser:
        yield browser


@pytest.fixture
def browser(window, server):
    """The same, with a server that is as new."""
    server.reset()
    yield window
    window.open("about:blank")
