"""ψ by KServe's Python SDK, as docs/deployment.md shows it: python kserve_server.py NAME FOLDER REST_PORT GRPC_PORT."""

import base64
import sys

import kserve
import numpy as np
import tensorflow as tf
from kserve.utils.utils import get_predict_response


class Classifier(kserve.Model):
    """A version of an export: pictures by the first version of KServe's protocol, tensors by the second."""

    def __init__(self, name, folder):
        super().__init__(name)
        self.folder = folder

    def load(self):
        self.signatures = tf.saved_model.load(self.folder).signatures
        self.ready = True
        return True

    async def predict(self, payload, headers=None, response_headers=None):
        try:
            if isinstance(payload, dict):
                return {"predictions": self._of_pictures(payload["instances"])}
            images = tf.constant(payload.inputs[0].as_numpy())
            probabilities = self.signatures["serving_default"](images=images)["probabilities"].numpy()
            return get_predict_response(payload, probabilities, self.name)
        except (tf.errors.InvalidArgumentError, KeyError, TypeError, ValueError) as error:
            raise kserve.errors.InvalidInput(" ".join(str(error).split())) from error

    def _of_pictures(self, instances):
        files = [base64.b64decode(instance["b64"]) for instance in instances]
        answer = self.signatures["image_bytes"](image_bytes=tf.constant(files))
        names = np.char.decode(answer["classes"].numpy().astype(bytes))
        rows = zip(answer["probabilities"].numpy().tolist(), names.tolist(), strict=True)
        return [{"probabilities": probabilities, "classes": name} for probabilities, name in rows]


if __name__ == "__main__":
    name, folder, rest_port, grpc_port = sys.argv[1:]
    model = Classifier(name, folder)
    model.load()
    kserve.ModelServer(http_port=int(rest_port), grpc_port=int(grpc_port)).start([model])
