"""What a person sees of a training, on stderr: a line that moves, and one line an epoch that stays."""

import sys
import time

import keras

REFRESH_SECONDS = 0.5


class Progress:
    """Writes to `stream`; the moving line only where that is a terminal."""

    def __init__(self, stream=None):
        self.stream = stream or sys.stderr
        self.moving = self.stream.isatty()

    def say(self, text):
        """One line that stays."""
        self._clear()
        print(text, file=self.stream, flush=True)

    def warn(self, text):
        self.say(f"warning: {text}")

    def begin(self, phase, first, epochs, steps, batch_size):
        """Announces a training of `epochs` epochs of which `first` are finished."""
        self.phase, self.first, self.epochs, self.steps, self.batch_size = phase, first, epochs, steps, batch_size
        self.started = time.monotonic()
        if 0 < first < epochs:
            self.say(f"{phase}: going on after epoch {first} of {epochs}")

    def callback(self, epoch):
        """The Keras callback that moves the line during `epoch`, counted from 0."""
        return _Steps(self, epoch)

    def move(self, epoch, step, logs):
        done = (epoch - self.first) * self.steps + step
        seconds = time.monotonic() - self.started
        remaining = seconds / done * ((self.epochs - self.first) * self.steps - done)
        self._clear()
        self.stream.write(
            f"{self.phase} {epoch + 1}/{self.epochs}  step {step}/{self.steps}  "
            f"{done * self.batch_size / seconds:.0f} images/s  loss {logs['loss']:.4f}  "
            f"accuracy {logs['accuracy']:.4f}  {duration(remaining)} left"
        )
        self.stream.flush()

    def end_epoch(self, line):
        """The line that stays, of the values that metrics.jsonl gets."""
        elapsed = time.monotonic() - self.started
        remaining = elapsed / (line["epoch"] - self.first) * (self.epochs - line["epoch"])
        text = (
            f"{self.phase} {line['epoch']}/{self.epochs}  loss {line['loss']:.4f}  accuracy {line['accuracy']:.4f}  "
            f"validation: loss {line['validation_loss']:.4f}  accuracy {line['validation_accuracy']:.4f}"
        )
        if "validation_ssim" in line:
            text += f"  SSIM {line['validation_ssim']:.3f}"
        self.say(f"{text}  {line['seconds']:.1f} s, {duration(remaining)} left")

    def _clear(self):
        if self.moving:
            self.stream.write("\r\x1b[K")


class _Steps(keras.callbacks.Callback):
    def __init__(self, progress, epoch):
        super().__init__()
        self.progress = progress
        self.epoch = epoch
        self.shown = 0.0

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if self.progress.moving and now - self.shown >= REFRESH_SECONDS:
            self.shown = now
            self.progress.move(self.epoch, batch + 1, logs)


def duration(seconds):
    """Seconds as `1:02:03` or `2:03`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
