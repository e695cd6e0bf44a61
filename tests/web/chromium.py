"""Chromium without a window, driven by chromedriver over the WebDriver protocol, which is JSON over HTTP."""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import tempfile
import time

import urllib3

PROGRAMS = ("chromium", "chromedriver")
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SCRIPT_SECONDS = 240
_STARTED = re.compile(r"started successfully on port (\d+)")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id, by the standard


def missing():
    """The programs that are not installed."""
    return [program for program in PROGRAMS if not shutil.which(program)]


@contextlib.contextmanager
def start(arguments=()):
    """Yields a `Browser`, which ends with the context.

    Args:
        arguments: further ones of Chromium's command line.
    """
    command = [shutil.which("chromedriver"), "--port=0"]
    with (
        tempfile.TemporaryDirectory(prefix="i2p_tf-", ignore_cleanup_errors=True) as profile,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver,
    ):
        try:
            port = next(match[1] for line in driver.stdout if (match := _STARTED.search(line)))
            browser = Browser(f"http://127.0.0.1:{port}", [*_ARGUMENTS, f"--user-data-dir={profile}", *arguments])
            try:
                yield browser
            finally:
                browser.close()
        finally:
            driver.terminate()


class BrowserError(AssertionError):
    """A script has thrown, or what was waited for has not come."""


class Browser:
    """One window.

    Args:
        driver: address of chromedriver.
        arguments: Chromium's command line.
    """

    def __init__(self, driver, arguments):
        self._http = urllib3.PoolManager(retries=False)
        options = {"binary": shutil.which("chromium"), "args": arguments}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": logs}
        self._session = driver
        created = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"{driver}/session/{created['sessionId']}"
        self._call("POST", "/timeouts", {"script": 1000 * _SCRIPT_SECONDS})

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """Runs the body of an asynchronous function of JavaScript, with `arguments`; returns what it returns."""
        body = (
            "const done = arguments[arguments.length - 1], given = [...arguments].slice(0, -1);"
            f"(async function () {{ {script} }}).apply(null, given)"
            ".then((value) => done({ value }), (error) => done({ error: `${error.name}: ${error.message}` }));"
        )
        result = self._call("POST", "/execute/async", {"script": body, "args": list(arguments)})
        if "error" in result:
            raise BrowserError(result["error"])
        return result["value"]

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? null", selector)

    def wait(self, condition, *arguments, seconds=60):
        """Waits until an expression of JavaScript is truthy, and returns its value."""
        deadline = time.monotonic() + seconds
        while not (value := self.run(f"return {condition}", *arguments)):
            if time.monotonic() > deadline:
                raise BrowserError(f"not within {seconds} s: {condition} {arguments}; {self.messages()}")
            time.sleep(0.02)
        return value

    def choose_files(self, selector, *paths):
        """Chooses files in an <input type="file">, as a person does."""
        element = self._call("POST", "/element", {"using": "css selector", "value": selector})[_ELEMENT]
        self._call("POST", f"/element/{element}/value", {"text": "\n".join(map(str, paths))})

    def messages(self):
        """What the console has said since the last call."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def requests(self):
        """The requests since the last call: a list of the protocol's `Network.Request`, with URL and body."""
        entries = self._call("POST", "/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in entries]
        return [event["params"]["request"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def command(self, name, **parameters):
        """A command of the DevTools protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def screenshot(self, path, width, height):
        """Writes the window as a PNG file, with a view of this size."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def close(self):
        self._call("DELETE", "")

    def _call(self, method, path, body=None):
        response = self._http.request(
            method, self._session + path, body=None if body is None else json.dumps(body), timeout=_SCRIPT_SECONDS + 10
        )
        answer = json.loads(response.data)["value"]
        if response.status != 200:
            raise BrowserError(answer["message"].splitlines()[0])
        return answer
