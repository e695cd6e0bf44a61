"""What a person sees of a training, on stderr: a line that moves, and one line an epoch that stays."""

import time

import keras

from i2p_tf.hints import Values
from i2p_tf.moving_line import MovingLine, duration

LONG_SECONDS = 120  # of a training whose time is worth a line
MEASURED_SECONDS = 10  # of its first steps, without the very first, in which the step is compiled


class Progress(MovingLine):
    """Of one phase of a training at a time."""

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")

    def begin(self, phase: str, first: int, epochs: int, steps: int, batch_size: int) -> None:
        """Announces a training of `epochs` epochs of which `first` are finished."""
        self.phase, self.first, self.epochs, self.steps, self.batch_size = phase, first, epochs, steps, batch_size
        self.started = time.monotonic()
        self.first_step: tuple[int, float] | None = None  # what was done then, and when
        self.measured = False
        if 0 < first < epochs:
            self.say(f"{phase}: going on after epoch {first} of {epochs}")

    def callback(self, epoch: int) -> keras.callbacks.Callback:
        """The Keras callback that moves the line during `epoch`, counted from 0."""
        return _Steps(self, epoch)

    def measure(self, done: int) -> None:
        """Says once what the training will take, by its first steps; `done` are finished, of all epochs."""
        self.first_step = self.first_step or (done, time.monotonic())
        if not self.measured and time.monotonic() - self.first_step[1] >= MEASURED_SECONDS:
            self.measured, remaining = True, self._remaining(done)
            if remaining >= LONG_SECONDS:
                self.say(f"{self.phase}: by its first steps {duration(remaining)} left, validation not counted")

    def done(self, epoch: int, step: int) -> int:
        """Steps of this call that are finished after so many of an epoch, counted from 0."""
        return (epoch - self.first) * self.steps + step

    def move(self, epoch: int, step: int, logs: Values) -> None:
        done = self.done(epoch, step)
        seconds = time.monotonic() - self.started
        self.show(
            f"{self.phase} {epoch + 1}/{self.epochs}  step {step}/{self.steps}  "
            f"{done * self.batch_size / seconds:.0f} images/s  {_reached(logs)}  "
            f"{duration(self._remaining(done))} left"
        )

    def end_epoch(self, line: Values) -> None:
        """The line that stays, of the values that metrics.jsonl gets."""
        remaining = self._remaining(self.done(line["epoch"], 0))
        text = (
            f"{self.phase} {line['epoch']}/{self.epochs}  {_reached(line)}  validation: {_reached(line, 'validation_')}"
        )
        if "validation_ssim" in line:
            text += f"  SSIM {line['validation_ssim']:.3f}"
        self.say(f"{text}  {line['seconds']:.1f} s, {duration(remaining)} left")

    def _remaining(self, done):
        """Seconds for the steps that are left, by all but the first, in which the step is compiled."""
        count, since = self.first_step or (0, self.started)
        if count == done:
            count, since = 0, self.started
        return (time.monotonic() - since) / (done - count) * ((self.epochs - self.first) * self.steps - done)


def _reached(values, prefix=""):
    """The loss and, of what classifies, the accuracy."""
    shown = [name for name in ("loss", "accuracy") if prefix + name in values]
    return "  ".join(f"{name} {values[prefix + name]:.4f}" for name in shown)


class _Steps(keras.callbacks.Callback):
    def __init__(self, progress, epoch):
        super().__init__()
        self.progress = progress
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.progress.measure(self.progress.done(self.epoch, batch + 1))
        if self.progress.due:
            self.progress.move(self.epoch, batch + 1, logs)
