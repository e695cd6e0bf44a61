"""On what a training computes: one device, or several that share each batch, by `tf.distribute`.

Every process keeps its variables once. Each of its devices computes the gradients of its part of the batch; their means
over all devices move the variables, in every process in the same way. So optimizers, loss scale and checkpoints know
nothing of the number of devices, and a training can go on with another number.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from i2p_tf import whole_batch
from i2p_tf.errors import InputError
from i2p_tf.hints import Values
from i2p_tf.models import cost
from i2p_tf.models.layers.dropout import WholeBatchDropout
from i2p_tf.objectives.trainer import Trainer
from i2p_tf.recipe import Recipe
from i2p_tf.training import cluster
from i2p_tf.training.budget import networks
from i2p_tf.training.errors import TrainingError

Callbacks = Sequence[keras.callbacks.Callback]
# What a collective ends with, where one process has.
_GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)
_MESSAGE = 400  # bytes of what a process tells the others


class OneDevice:
    """The device that TensorFlow takes by itself.

    Attributes:
        name: of the strategy.
        count: of devices that share a batch.
        is_chief: whether this process writes the run.
    """

    name = cluster.NONE
    count = 1
    is_chief = True

    def check(self, recipe: Recipe, images: int) -> None:
        """Raises an `InputError` unless the batches of a `Recipe` can be shared, of so many training images."""

    def description(self) -> str:
        """What computes, in words."""
        return "one device"

    def part(self, batch_size: int) -> tuple[int, ...] | None:
        """Which pictures of each batch this process computes; None for all."""
        return None

    def epochs(self, trainer: Trainer) -> Callable[[tf.data.Dataset, Callbacks], Values]:
        """What trains a compiled `Trainer` for one epoch, of batches of `part`, with callbacks; gives the means."""

        def run(batches, callbacks):
            history = trainer.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=list(callbacks)).history
            return {name: values[-1] for name, values in history.items()}

        return run

    def from_chief(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """What the chief has of these arrays, in all processes."""
        return arrays

    def require_same(self, what: str, value: str) -> None:
        """Raises an `InputError` in all processes unless all have the same value."""

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """An `InputError` in one of the processes is raised in all of them, at the end of the block."""
        yield


class SeveralDevices(OneDevice):
    """Those of a strategy, in whose scope no variable is made.

    Args:
        name: of the strategy.
        strategy: a `tf.distribute.Strategy`.
        worker, workers: which process this is, and how many there are.
    """

    def __init__(self, name: str, strategy: tf.distribute.Strategy, worker: int = 0, workers: int = 1) -> None:
        self.name, self.strategy, self.worker, self.workers = name, strategy, worker, workers
        self.count = strategy.num_replicas_in_sync
        self.own = self.count // workers
        self.is_chief = worker == 0

    def check(self, recipe: Recipe, images: int) -> None:
        size = recipe.batch_size
        if images < self.count:
            raise InputError(f"{self.count} devices can't share {images} training images; take fewer of them")
        if size % self.count:
            lower, upper = size // self.count * self.count, -(-size // self.count) * self.count
            raise InputError(
                f"{self.count} devices share each batch in equal parts: --batch_size must be a multiple of "
                f"{self.count}, such as {lower or upper}. Received: {size}"
            )

    def description(self) -> str:
        return f"{self.count} devices share each batch" + (f", of {self.workers} workers" if self.workers > 1 else "")

    def part(self, batch_size: int) -> tuple[int, ...]:
        return tuple(row for row in range(batch_size) if row % self.count // self.own == self.worker)

    def epochs(self, trainer: Trainer) -> Callable[[tf.data.Dataset, Callbacks], Values]:
        for network in networks(trainer):
            _share(network)
        step = self._step(trainer)

        def run(batches, callbacks):
            watching = keras.callbacks.CallbackList(list(callbacks), model=trainer)
            trainer.reset_metrics()
            means: Values = {}
            for number, (images, labels) in enumerate(batches):
                with self._failures():
                    means = {name: float(value) for name, value in step(images, labels).items()}
                watching.on_train_batch_end(number, means)
            return means

        return run

    def _step(self, trainer):
        """The function of a batch that does one step and gives the means of the epoch so far."""
        variables = [variable for network in networks(trainer) for variable in network.non_trainable_variables]

        def compute(images, labels):
            """One device's. States, moving averages and seeds, come out the same: each would change them once more."""
            with keras.StatelessScope() as scope:
                gradients, values = trainer.gradients(self._own(images), self._own(labels))
            states = {place: scope.get_current_value(variable) for place, variable in enumerate(variables)}
            values = {name: tf.cast(value, tf.float32) for name, value in values.items()}
            changed = {place: state for place, state in states.items() if state is not None}
            return *_reduced("MEAN", (gradients, values)), changed

        @tf.function
        def step(images, labels):
            gradients, values, states = self._first(self.strategy.run(compute, (images, labels)))
            trainer.move(gradients)
            for place, state in states.items():
                variables[place].assign(state)
            return trainer.update_means(values, images)

        return step

    def _own(self, values):
        """The rows of one device, of those of the process; they are taken before they travel to it."""
        with tf.device("CPU:0"):
            rows = values[whole_batch.place()[1] % self.own :: self.own]
        return tf.ensure_shape(rows, (values.shape[0] // self.own, *values.shape[1:]))

    def _first(self, values):
        """Of what is the same on all devices, that of the first one here."""
        return tf.nest.map_structure(lambda value: self.strategy.experimental_local_results(value)[0], values)

    def from_chief(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        if self.workers == 1:
            return arrays
        arrays = [np.asarray(array) for array in arrays]
        content = b"".join(array.tobytes() for array in arrays)
        words = np.frombuffer(content + bytes(-len(content) % 4), np.int32)
        content, results = self._sum(words if self.is_chief else np.zeros_like(words)).tobytes(), []
        for array in arrays:
            results.append(np.frombuffer(content[: array.nbytes], array.dtype).reshape(array.shape))
            content = content[array.nbytes :]
        return results

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        problem = ""
        try:
            yield
        except InputError as error:
            problem = str(error)
        for line in self._lines(problem):
            if line:
                raise InputError(line)

    def require_same(self, what: str, value: str) -> None:
        values = self._lines(value)
        if len(set(values)) > 1:
            raise InputError(f"the workers differ in {what}: {', '.join(values)}")

    def _lines(self, line):
        """What each process has to say, in all of them."""
        lines = np.zeros((self.workers, _MESSAGE), np.int32)
        text = line.encode()[:_MESSAGE]
        lines[self.worker, : len(text)] = list(text)
        lines = self._sum(lines.ravel()).reshape(lines.shape)
        return [bytes(row[row > 0].tolist()).decode(errors="ignore") for row in lines]

    def _sum(self, integers):
        """Over all processes, bit for bit what one has where the others have zeros."""
        with self._failures():
            return self._summed(tf.constant(integers)).numpy()

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32)])
    def _summed(self, integers):
        def compute(integers):
            speaks = whole_batch.place()[1] % self.own == 0
            return _reduced("SUM", tf.where(speaks, integers, 0))

        return self._first(self.strategy.run(compute, (integers,)))

    @contextlib.contextmanager
    def _failures(self):
        """What TensorFlow says where another worker has gone, in a line."""
        try:
            yield
        except _GONE as error:
            if self.workers == 1:
                raise
            raise TrainingError(
                f"another worker has ended, or can't be reached ({type(error).__name__}); start all of them again, or "
                "one without --strategy: the same command goes on after the last epoch"
            ) from error


def of(name: str) -> OneDevice:
    """The devices of a strategy, one of `cluster.STRATEGIES`; waits for the other workers where there are some.

    TensorFlow must not have computed anything before, if it is several workers.
    """
    if name == cluster.NONE:
        return OneDevice()
    if name == cluster.MIRRORED:
        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        strategy = tf.distribute.MirroredStrategy([device.name for device in found])
        return SeveralDevices(name, strategy) if len(found) > 1 else OneDevice()
    worker, workers = cluster.place()
    return SeveralDevices(name, tf.distribute.MultiWorkerMirroredStrategy(), worker, workers)


def _reduced(operation, values):
    """Tensors summed or averaged over all devices; what is None, a gradient that is not there, stays."""
    flat = tf.nest.flatten(values)
    context = tf.distribute.get_replica_context()
    results = iter(context.all_reduce(operation, [value for value in flat if value is not None]))
    return tf.nest.pack_sequence_as(values, [None if value is None else next(results) for value in flat])


def _share(network):
    """Makes the layers that mix the pictures of a batch, or draw for each, see the whole one."""
    for layer in cost.all_layers(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
        elif type(layer) is keras.layers.Dropout:
            layer.__class__ = WholeBatchDropout  # of this training alone: what is saved is a copy
