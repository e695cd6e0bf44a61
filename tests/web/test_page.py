"""The page in a browser: what a person sees, and what leaves the page."""

import base64
import contextlib
import io
import json

import drawn_pictures
import numpy as np
import page_server
import pytest
from chromium import BrowserError
from PIL import Image

import i2p_tf
from i2p_tf import pictures
from i2p_tf.serving.stand_in.web_page import WebPage

ANSWER = "document.querySelectorAll('#classes li').length"
ERROR = "!document.querySelector('#error').hidden && document.querySelector('#error').innerText"
EARLY = "Page.addScriptToEvaluateOnNewDocument"


@pytest.fixture(autouse=True)
def headers_of_bin_serve(server, browser):
    server.headers = WebPage(None, page_server.ROOT / "web", page_server.EXPORT).headers


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "own picture.png"
    drawn_pictures.smooth(300, 200, np.random.default_rng(3)).save(path)
    return path


def error_after(browser, server, *files):
    browser.open(f"{server.url}/")
    if files:
        browser.choose_files("#file", *files)
    return browser.wait(ERROR)


def test_a_chosen_picture_is_protected_sent_and_answered(browser, server, picture):
    browser.open(f"{server.url}/")
    browser.choose_files("#file", picture)
    browser.wait(ANSWER)
    plain = np.asarray(pictures.resize(pictures.decode(picture), 32))
    protected = i2p_tf.load_transform(page_server.EXPORT, "int8")(plain[np.newaxis])[0]
    (sent,) = server.pictures()
    assert np.abs(sent.astype(int) - protected).max() <= 1
    shown = "return [...document.getElementById(arguments[0]).getContext('2d').getImageData(0, 0, 32, 32).data]"
    for canvas, expected in (("plain", plain), ("sent", sent)):
        pixels = np.array(browser.run(shown, canvas)).reshape(32, 32, 4)
        assert np.array_equal(pixels[..., :3], expected) and pixels[..., 3].min() == 255, canvas
    assert browser.text("#classes").split("\n")[:4] == ["airplane", "82.0%", "automobile", "10.0%"]
    body = next(body for _, path, body in server.received if path.endswith(":predict") and b"image_bytes" in body)
    size = len(base64.b64decode(json.loads(body)["inputs"][0]["b64"]))
    costs = browser.text("#costs")
    assert f"{size:,} bytes" in costs and costs.count(" ms") == 2
    assert "one of 10 fixed pictures" in browser.text("#promise")
    assert "say nothing about how sure" in browser.text("#answer")


def test_no_request_carries_the_plain_picture_or_goes_elsewhere(browser, server, picture):
    browser.requests()
    browser.open(f"{server.url}/")
    browser.choose_files("#file", picture)
    browser.wait(ANSWER)
    requests = [
        request for request in browser.requests() if not request["url"].startswith(("chrome:", "blob:", "about:"))
    ]
    assert {request["url"].startswith(f"{server.url}/") for request in requests} == {True}
    # All that went out: addresses without parameters, two questions about the model, and the protected picture.
    assert {request["url"] for request in requests} == {server.url + path for _, path, _ in server.received}
    assert not any("?" in path for _, path, _ in server.received)
    bodies = [json.loads(body) for _, _, body in server.received if body]
    assert [body["signature_name"] for body in bodies] == ["class_names", "image_bytes"]
    assert bodies[0]["inputs"] == list(range(10)) and len(bodies[1]["inputs"]) == 1
    assert set().union(*bodies) == {"signature_name", "inputs"}
    with Image.open(io.BytesIO(base64.b64decode(bodies[1]["inputs"][0]["b64"]))) as sent:
        assert sent.size == (32, 32) and not sent.info  # no metadata
        plain = np.asarray(pictures.resize(pictures.decode(picture), 32))
        assert abs(np.corrcoef(np.asarray(sent).ravel(), plain.ravel())[0, 1]) < 0.3
    assert picture.name not in str(server.received)


@pytest.mark.parametrize(
    "script",
    [
        "await fetch(arguments[0], { method: 'POST', body: 'x', mode: 'no-cors' })",
        "navigator.sendBeacon(arguments[0], 'x')",
        "await import(arguments[0])",
        "const image = new Image(); image.src = arguments[0]; await image.decode()",
        "new WebSocket(arguments[0].replace('http', 'ws'))",
        "document.body.append(Object.assign(document.createElement('iframe'), { src: arguments[0] }))",
        "document.body.append(Object.assign(document.createElement('form'), { action: arguments[0] }));"
        "document.querySelector('form').submit()",
    ],
)
def test_the_page_may_ask_no_other_server(browser, server, script):
    browser.open(f"{server.url}/")
    with page_server.PageServer().running() as other:
        with contextlib.suppress(BrowserError):
            browser.run(script, other.url + "/elsewhere")
        with contextlib.suppress(BrowserError):
            browser.run("await fetch('/last', { method: 'POST' })")
        assert other.received == [] and ("POST", "/last", b"") in server.received


def test_a_dropped_picture(browser, server, picture):
    browser.open(f"{server.url}/")
    server.files["/dropped.png"] = picture.read_bytes()
    browser.run(
        """const file = new File([await (await fetch("/dropped.png")).blob()], "dropped.png", { type: "image/png" });
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(file);
        const event = (name) => new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true });
        const target = document.querySelector("#choose");
        if (target.dispatchEvent(event("dragover"))) throw Error("the browser would open the file");
        target.dispatchEvent(event("drop"));"""
    )
    browser.wait(ANSWER)
    assert len(server.pictures()) == 1


def test_a_server_in_the_house_without_https(browser, server, picture):
    browser.open(server.url.replace("127.0.0.1", "house.test") + "/")
    assert browser.run("return [isSecureContext, crossOriginIsolated]") == [False, False]
    browser.choose_files("#file", picture)
    browser.wait(ANSWER)
    assert len(server.pictures()) == 1
    assert not browser.run("return document.querySelector('#camera').checkVisibility()")  # there is none to have


def test_the_camera(browser, server):
    browser.open(f"{server.url}/")
    browser.run("document.querySelector('#camera').click()")
    browser.wait("document.querySelector('#video').videoWidth")
    browser.run("document.querySelector('#shoot').click()")
    browser.wait(ANSWER)
    assert len(server.pictures()) == 1
    assert browser.run("return document.querySelector('#video').srcObject.getTracks()[0].readyState") == "ended"


def test_files_that_are_no_pictures(browser, server, picture, tmp_path):
    text, large, cut, drawing = (tmp_path / name for name in ("text.png", "large.png", "cut.png", "drawing.svg"))
    drawing.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    text.write_text("no picture")
    Image.new("1", (10_000, 10_001)).save(large)
    cut.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])
    assert error_after(browser, server, text) == "The file is not a picture that this browser can read."
    unreadable = "The file is damaged, not of a kind that this browser can read, or too large for this device's memory."
    for path, message in (
        (drawing, unreadable),
        (large, "The picture has 100 megapixels; 80 are allowed. Make it smaller first."),
        (cut, unreadable),
    ):
        browser.choose_files("#file", path)
        browser.wait(f"document.querySelector('#error').innerText === {json.dumps(message)}")
    assert server.pictures() == []
    browser.choose_files("#file", picture)  # and the page still works
    browser.wait(ANSWER)
    assert not browser.run(f"return {ERROR}")


def test_a_wrong_server(browser, server, picture):
    server.run_id = "0123456789abcdef"
    message = error_after(browser, server, picture)
    assert message.startswith("This is the wrong server: its model is of run 0123456789abcdef")
    assert message.endswith("Nothing was sent to it.") and server.pictures() == []


def test_a_server_that_is_gone(browser, server, picture):
    with page_server.PageServer().running() as other:
        browser.open(f"{other.url}/")
        browser.wait("document.querySelector('#about').innerText")
    browser.choose_files("#file", picture)
    message = browser.wait(ERROR)
    assert message == f"The server {other.url} cannot be reached. Is it running?"
    assert browser.text("#result h2") == "Your picture"  # what would have been sent can still be seen


def test_a_damaged_transform(browser, server):
    content = bytearray((page_server.EXPORT / "transform_int8.tflite").read_bytes())
    content[100_000] ^= 1
    server.files["/export/transform_int8.tflite"] = bytes(content)
    message = "The transform is damaged: the SHA-256 of transform_int8.tflite is not that of its manifest."
    assert error_after(browser, server) == message


def test_an_export_that_is_not_there(browser, server):
    server.files["/export/manifest.json"] = b"<html>"
    assert "damaged, or not one that bin/export has written" in error_after(browser, server)


def test_a_browser_without_webassembly(browser, server):
    early = browser.command(EARLY, source="delete globalThis.WebAssembly")
    try:
        message = "This browser has no WebAssembly, or it is switched off. The transform needs it."
        assert error_after(browser, server) == message
    finally:
        browser.command("Page.removeScriptToEvaluateOnNewDocument", **early)


def test_without_the_packages_of_npm(browser, server):
    server.files["/node_modules/@litertjs/core/dist/index.js"] = b"throw Error('gone')"
    assert error_after(browser, server) == "LiteRT cannot be loaded: is it installed in web/ (npm ci) and served?"


def test_names_order_and_contrast(browser, server, picture):
    browser.open(f"{server.url}/")
    browser.choose_files("#file", picture)
    browser.wait(ANSWER)
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node["name"]["value"]) for node in nodes if "name" in node and "role" in node}
    for role, name in (("button", "Use the camera"), ("image", "The protected picture"), ("heading", "What is sent")):
        assert (role, name) in named, named
    assert any(name.startswith("Choose a picture") for role, name in named if role == "button"), named
    order = browser.run(
        "return [...document.querySelectorAll('input, button, a[href], select')].filter((e) => e.checkVisibility())"
        ".map((e) => [e.id, e.tabIndex])"
    )
    assert order == [["file", 0], ["camera", 0]]
    for scheme in ("light", "dark"):
        browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert browser.run(CONTRAST) == [], scheme
    for width in (320, 390, 1440):
        browser.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        assert browser.run("return document.documentElement.scrollWidth") <= width


# Texts whose contrast with the ground behind them is below WCAG's 4.5.
CONTRAST = """
const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => rgb(colour).slice(0, 3)
  .map((value) => value / 255)
  .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if ((rgb(colour)[3] ?? 1) > 0) return colour;
  }
};
document.querySelector("#error").hidden = false;
document.querySelector("#error").textContent = "an error";
return [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .map((e) => [e.outerHTML.slice(0, 60), ...[getComputedStyle(e).color, ground(e)].map(light)])
  .filter(([, one, two]) => (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05) < 4.5);
"""
