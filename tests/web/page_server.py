"""A small web server for the browser: the page, an export's client files, and a classifier that obeys the test."""

import base64
import contextlib
import http.server
import io
import json
import mimetypes
import pathlib
import threading

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
EXPORT = ROOT / "exports" / "cifar10_resnet20"
_ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}

# A page of a developer's own, on which the module can be imported.
MODULE_PAGE = b"""<!doctype html><title>module</title><input id="file" type="file" multiple>
<script type="importmap">{"imports": {"@litertjs/core": "/node_modules/@litertjs/core/dist/index.js",
"@litertjs/wasm-utils": "/node_modules/@litertjs/wasm-utils/dist/index.js"}}</script>"""
_PROTECT = """
const [variant, size] = arguments;
const { load } = await import("/i2p.js");
const { toImageData, toRgb } = await import("/pictures.js");
const transform = await load("/export/manifest.json", { variant });
const inputs = new Uint8Array(await (await fetch("/inputs")).arrayBuffer());
const outputs = new Uint8Array(inputs.length);
const step = 3 * size * size;
for (let start = 0; start < inputs.length; start += step) {
  const image = toImageData({ width: size, height: size, data: inputs.subarray(start, start + step) });
  outputs.set(toRgb(await transform.protect(image)).data, start);
}
await fetch(`/outputs/${variant}`, { method: "POST", body: outputs });
"""


class PageServer:
    """Files and answers; both may be changed while it runs.

    Attributes:
        url: its address.
        files: path of a request -> bytes that are sent in the place of the file.
        run_id, version: of the classifier that it claims to have.
        failures: what the next requests to the classifier are answered with: pairs of status and body.
        headers: of all answers, beside those of the content.
        received: list of (method, path, body) of all requests.
        sent_bytes: of the contents of all answers.
    """

    def __init__(self):
        self.manifest = json.loads((EXPORT / "manifest.json").read_text())
        self.received = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                outer._answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.reset()

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def reset(self):
        self.received.clear()
        self.files = {}
        self.run_id = self.manifest["run_id"]
        self.version = 1
        self.failures = []
        self.headers = dict(_ISOLATED)
        self.sent_bytes = 0

    def pictures(self, version=1):
        """The pictures that were sent to a version of the classifier: uint8 `(height, width, 3)` each."""
        bodies = [json.loads(body) for _, path, body in self.received if path.endswith(f"/versions/{version}:predict")]
        sent = [item["b64"] for body in bodies if body["signature_name"] == "image_bytes" for item in body["inputs"]]
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(content)))) for content in sent]

    def outputs(self, name, shape):
        """What a page has posted to /outputs/<name>: uint8 of this shape."""
        (body,) = [body for _, path, body in self.received if path == f"/outputs/{name}"]
        return np.frombuffer(body, np.uint8).reshape(shape)

    def protect_in(self, page, images, variant):
        """Takes uint8 images `(n, size, size, 3)` through the module on a page; returns what it made of them."""
        self.files["/inputs"] = images.tobytes()
        page.run(_PROTECT, variant, images.shape[1])
        return self.outputs(variant, images.shape)

    def _answer(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.received.append((handler.command, handler.path, body))
        path = handler.path.split("?")[0]
        if path.startswith("/v1/"):
            status, kind, content = self._classifier(path, body)
        else:
            status, kind, content = self._file(path)
        handler.send_response(status)
        for name, value in {**self.headers, "Content-Type": kind, "Content-Length": len(content)}.items():
            handler.send_header(name, str(value))
        self.sent_bytes += len(content)
        with contextlib.suppress(ConnectionError):  # the browser has left the page
            handler.end_headers()
            handler.wfile.write(content)

    def _file(self, path):
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        if path in self.files:
            return 200, kind, self.files[path]
        file = EXPORT / path.removeprefix("/export/") if path.startswith("/export/") else ROOT / "web" / path[1:]
        if path == "/":
            file, kind = ROOT / "web" / "index.html", "text/html"
        return (200, kind, file.read_bytes()) if file.is_file() else (404, "text/plain", b"not here")

    def _classifier(self, path, body):
        if self.failures:
            status, content = self.failures.pop(0)
            return status, "application/json", content
        if path == f"/v1/models/{self.manifest['name']}/metadata":
            answer = self._metadata()
        elif path == f"/v1/models/{self.manifest['name']}/versions/{self.version}:predict":
            answer = {"outputs": self._outputs(json.loads(body))}
        else:
            return 404, "application/json", json.dumps({"error": f"Servable not found: {path}"}).encode()
        return 200, "application/json", json.dumps(answer).encode()

    def _metadata(self):
        def tensor(*sides):
            return {"tensor_shape": {"dim": [{"size": str(side)} for side in sides]}}

        size, names = self.manifest["image_size"], self.manifest["class_names"]
        plain = {"inputs": {"images": tensor(-1, size, size, 3)}, "outputs": {"probabilities": tensor(-1, len(names))}}
        signatures = dict.fromkeys(("image_bytes", "class_names"), {"inputs": {}, "outputs": {}})
        signatures = {"signature_def": signatures | {"serving_default": plain}}
        return {"model_spec": {"version": str(self.version)}, "metadata": {"signature_def": signatures}}

    def _outputs(self, request):
        names = self.manifest["class_names"]
        if request["signature_name"] == "class_names":
            chosen = [names[index] for index in request["inputs"]]
            return {"class_names": chosen, "run_id": [self.run_id] * len(chosen)}
        return {"probabilities": [[0.82, 0.1, 0.05, 0.02, 0.01, 0, 0, 0, 0, 0]] * len(request["inputs"])}
