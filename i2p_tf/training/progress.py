"""What a person sees of a training, on stderr: a line that moves, and one line an epoch that stays."""

import time

import keras

from i2p_tf.moving_line import MovingLine, duration


class Progress(MovingLine):
    """Of one phase of a training at a time."""

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
        self.show(
            f"{self.phase} {epoch + 1}/{self.epochs}  step {step}/{self.steps}  "
            f"{done * self.batch_size / seconds:.0f} images/s  loss {logs['loss']:.4f}  "
            f"accuracy {logs['accuracy']:.4f}  {duration(remaining)} left"
        )

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


class _Steps(keras.callbacks.Callback):
    def __init__(self, progress, epoch):
        super().__init__()
        self.progress = progress
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.progress.due:
            self.progress.move(self.epoch, batch + 1, logs)
