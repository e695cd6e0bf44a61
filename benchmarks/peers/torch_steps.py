"""The training steps of `keras_steps.py` as users of PyTorch write them, to be timed beside them."""

import gc
import os
import time

import torch
from peers.torch_losses import LOSSES, load_weights
from workloads import CLASSES

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MOMENTUM = 0.9


class Steps:
    """Builds the step of a `Workload` and takes it.

    Args:
        tuned: channels last, fused optimizers, and the faster of eager and `torch.compile`; else what one gets who
            asks for nothing: contiguous NCHW, eager.
        precision: "float32"; anything else is autocast to bfloat16.
    """

    def __init__(self, tuned, precision):
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.tuned = tuned
        self.autocast = precision != "float32"
        self.ways = {}  # the fastest, by size of the network

    def describe(self):
        """Version, device and threads."""
        device = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "cpu"
        return {"torch": torch.__version__, "device": device, "threads": torch.get_num_threads()}

    def build(self, workload, start):
        """Takes what `keras_steps.Steps.build` gave."""
        self.step = None
        gc.collect()
        self.workload, self.start = workload, start

    def warm_up(self):
        """Takes a few steps in each way that is to be tried, and keeps the fastest.

        Returns:
            Tuple of the losses of the first two steps, and which way it is, with the seconds of a step in each.
        """
        size = self.start.get("stackwise_filters")
        seconds, losses, steps = {}, {}, {}
        for way in self.ways.get(size, ("eager", "compiled") if self.tuned else ("eager",)):
            step = Step(self.workload, self.start, self.tuned, self.autocast, way == "compiled")
            try:
                seconds[way], losses[way] = try_step(step)
                steps[way] = step
            except Exception as error:  # a compiler or headers are missing: each version of PyTorch says it differently
                if way == "eager":
                    raise
                print(f"torch.compile does not work here: {type(error).__name__}")
        best = min(seconds, key=seconds.get)
        self.ways[size] = (best,)  # neither the batch size nor the loss changes it
        self.step = steps[best]
        return losses[best], f"{best} ({', '.join(f'{way} {value:.3g} s' for way, value in seconds.items())})"

    def run(self, seconds):
        """Takes steps for at least so long; returns images a second. Each loss is read, as in a training."""
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            self.step()
            count += 1
        return count * self.workload.recipe.batch_size / (time.perf_counter() - started)

    def product(self, n):
        """Floating-point operations a second of a product of two n x n matrices."""
        dtype = torch.bfloat16 if self.autocast else torch.float32
        a, b = (torch.rand(n, n, device=DEVICE).to(dtype) for _ in range(2))
        (a @ b)[0, 0].item()
        started = time.perf_counter()
        (a @ b)[0, 0].item()
        return 2 * n**3 / (time.perf_counter() - started)


def try_step(step):
    """Seconds of the faster of two steps after the first; the losses of the first two."""
    losses, seconds = [], []
    for _ in range(3):
        started = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:]), losses[:2]


class Step:
    """One step of a training: networks, a batch, an optimizer."""

    def __init__(self, workload, start, tuned, autocast, compiled):
        layout = torch.channels_last if tuned else torch.contiguous_format
        images, targets = (torch.from_numpy(array) for array in workload.batch())
        self.images = images.permute(0, 3, 1, 2).to(DEVICE).contiguous(memory_format=layout)
        if targets.ndim == 4:
            self.targets = targets.permute(0, 3, 1, 2).to(DEVICE).contiguous(memory_format=layout)
        else:
            self.targets = targets.long().to(DEVICE)
        loss = LOSSES[workload.kind](workload.settings, start, CLASSES)
        for name in ("network", "classifier", "features"):
            if hasattr(loss, name):
                load_weights(getattr(loss, name), start["weights"][name])
        loss = loss.to(DEVICE, memory_format=layout)
        self.parameters = list(loss.network.parameters())
        self.optimizer, self.clip_norm = optimizer(workload, self.parameters, start["learning_rate"], fused=tuned)
        self.autocast = autocast
        if compiled:
            torch.compiler.reset()
            loss = torch.compile(loss, dynamic=False)
        self.loss = loss

    def __call__(self):
        """Takes a step; returns its loss."""
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=self.autocast):
            loss = self.loss(self.images, self.targets)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        return loss.item()


def optimizer(workload, parameters, learning_rate, fused):
    """The optimizer of a `Workload`, at a learning rate that stays, and the limit of the gradients' norm or None."""
    fused = fused or None  # PyTorch's own choice
    if workload.kind == "inverse":
        return torch.optim.Adam(parameters, learning_rate, fused=fused), 1.0
    recipe = workload.recipe
    sgd = torch.optim.SGD(
        parameters,
        learning_rate,
        momentum=MOMENTUM,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.schedule == "one_cycle",
        fused=fused,
    )
    return sgd, recipe.clip_norm
