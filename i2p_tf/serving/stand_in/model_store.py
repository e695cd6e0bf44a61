"""The versions that are being served: watched on disk, loaded, swapped, unloaded."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import functools
import logging
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import grpc

from i2p_tf.client.manifest import MANIFEST
from i2p_tf.serving import integrity, model_config
from i2p_tf.serving.model_config import ModelConfig
from i2p_tf.serving.stand_in.batching import Batcher
from i2p_tf.serving.stand_in.errors import ServingError, invalid
from i2p_tf.serving.stand_in.signatures import Signature, Tensors

if TYPE_CHECKING:  # it loads TensorFlow
    from i2p_tf.serving.stand_in.servable import Servable

POLL_SECONDS = 1.0
LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"

_log = logging.getLogger(__name__)


@dataclasses.dataclass
class VersionStatus:
    """The state of one version, in the words of TF Serving, and why it could not be loaded.

    Attributes:
        state: one of the constants above.
        reason: for who runs the server.
        error: for who asks it.
    """

    state: str
    reason: str = ""
    error: str = ""


class ServedVersion:
    """A servable with the queue of each of its signatures, and the number of requests that are using it."""

    def __init__(self, servable: "Servable", executor: concurrent.futures.Executor) -> None:
        self.servable = servable
        self._executor = executor
        self._batchers: dict[str, Batcher] = {}
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def predict(self, signature: Signature, inputs: Tensors, count: int) -> Tensors:
        """As `Batcher.submit`, for a `Signature` of the servable."""
        batcher = self._batchers.get(signature.name)
        if batcher is None:
            run = functools.partial(self.servable.run, signature)
            batcher = self._batchers[signature.name] = Batcher(run, self._executor)
        return await batcher.submit(inputs, count)

    @contextlib.contextmanager
    def used(self) -> Iterator["ServedVersion"]:
        self._users += 1
        self._unused.clear()
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def wait_until_unused(self) -> None:
        await self._unused.wait()


class _Model:
    """What is known of one model of the configuration."""

    def __init__(self, config):
        self.config = config
        self.status = {}  # version -> VersionStatus
        self.loaded = {}  # version -> ServedVersion
        self.failed = {}  # version -> what its folder looked like then


class ModelStore:
    """Loads what the configuration asks for, and follows what changes in the folders.

    A version is taken out of service only when all that are wanted are loaded, and unloaded when its last request is
    answered. One that can't be loaded is tried again when its folder has changed.

    Args:
        configs: list of `ModelConfig`s.
        load: name, version and path -> `Servable`.
    """

    def __init__(self, configs: Sequence[ModelConfig], load: "Callable[[str, int, pathlib.Path], Servable]") -> None:
        self._models = {config.name: _Model(config) for config in configs}
        self._load = load
        # One thread computes, as TensorFlow spreads every batch over all cores; another loads meanwhile.
        self._compute_thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._load_thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="load")
        self._unloading: set[asyncio.Task] = set()

    @contextlib.contextmanager
    def use(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[ServedVersion]:
        """Holds a `ServedVersion` in service while a request uses it.

        Args:
            name: of the model.
            version: its number; None for the newest, or the one of `label`.
            label: name of a version.

        Raises:
            ServingError: if there is no such model, version or label in service.
        """
        with self._find(name, version, label).used() as served:
            yield served

    def status(self, name: str, version: int | None = None, label: str | None = None) -> dict[int, VersionStatus]:
        """Version -> `VersionStatus`: of one version, or of all the server has met; `ServingError` if it met none."""
        model = self._models.get(name)
        if model is None or not model.status:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {name}")
        if label is not None:
            version = _labelled(model, label)
        if version is None:
            return dict(sorted(model.status.items(), reverse=True))
        if version not in model.status:
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {name}")
        return {version: model.status[version]}

    def failures(self) -> list[str]:
        """One line for each model of which nothing is in service."""
        lines = []
        for name, model in self._models.items():
            if not model.loaded:
                reasons = [f"version {version}: {status.reason}" for version, status in model.status.items()]
                lines.append(f"{name}: {'; '.join(reasons) or 'no version in ' + str(model.config.base_path)}")
        return lines

    async def watch(self) -> None:
        """Follows the folders for ever."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.refresh()

    async def refresh(self) -> None:
        """Looks at the folders once, and loads and unloads what has to be."""
        for model in self._models.values():
            wanted = model_config.wanted(model.config)
            for version in wanted:
                await self._ensure_loaded(model, version)
            if wanted and all(version in model.loaded for version in wanted):
                for version in [*model.loaded]:
                    if version not in wanted:
                        self._retire(model, version)

    async def close(self) -> None:
        """Waits for what is being unloaded and ends the threads. No request may be under way."""
        await asyncio.gather(*self._unloading)
        self._load_thread.shutdown(cancel_futures=True)
        self._compute_thread.shutdown(cancel_futures=True)

    def _find(self, name, version, label):
        model = self._models.get(name)
        if model is not None and label is not None:
            version = _labelled(model, label)
        if model is None or not model.loaded or (version is not None and version not in model.loaded):
            wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServingError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        return model.loaded[max(model.loaded) if version is None else version]

    async def _ensure_loaded(self, model, version):
        if version in model.loaded:
            return
        name, path = model.config.name, model.config.base_path / str(version)
        look = _look(model.config.base_path, version)
        if model.failed.get(version) == look:
            return
        model.status[version] = VersionStatus(LOADING)
        loop = asyncio.get_running_loop()
        try:
            servable = await loop.run_in_executor(self._load_thread, self._load, name, version, path)
        except Exception as error:  # a damaged SavedModel raises nearly anything; the version in service stays
            reason = " ".join(str(error).split()) or type(error).__name__
            model.status[version] = VersionStatus(END, reason, _without_paths(error))
            model.failed[version] = look
            _log.error("%s: version %d cannot be served: %s", name, version, reason)
            return
        model.loaded[version] = ServedVersion(servable, self._compute_thread)
        model.status[version] = VersionStatus(AVAILABLE)
        _log.info("%s: version %d is in service", name, version)

    def _retire(self, model, version):
        served = model.loaded.pop(version)
        model.status[version] = VersionStatus(UNLOADING)

        async def unload():
            await served.wait_until_unused()
            if version not in model.loaded:  # it may have come back meanwhile
                model.status[version] = VersionStatus(END)
            _log.info("%s: version %d is out of service", model.config.name, version)

        task = asyncio.create_task(unload())
        self._unloading.add(task)
        task.add_done_callback(self._unloading.discard)


def _labelled(model, label):
    if label not in model.config.labels:
        raise invalid(f"Unrecognized servable version label: {label}")
    return model.config.labels[label]


def _without_paths(error):
    """What an error says to a client, who need not know where things lie on this machine."""
    if isinstance(error, integrity.Damaged):
        return str(error)
    return f"it could not be loaded ({type(error).__name__}); the server's log has more"


def _look(base_path, version):
    """Names, sizes and times of the files of a version and its manifest: what changes when somebody repairs it."""
    paths = [base_path.parent / MANIFEST, *integrity.files(base_path, version).values()]
    entries = []
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            entries.append((str(path), status.st_size, status.st_mtime_ns))
    return entries
