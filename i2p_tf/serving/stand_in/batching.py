"""Requests that wait at the same time are computed together."""

import asyncio
import collections
import concurrent.futures
import dataclasses
import itertools
from collections.abc import Callable

import grpc
import numpy as np

from i2p_tf.serving.limits import MAX_BATCH_SIZE, MAX_BATCHES
from i2p_tf.serving.stand_in.errors import ServingError
from i2p_tf.serving.stand_in.signatures import Tensors

MAX_WAITING = MAX_BATCHES * MAX_BATCH_SIZE  # examples


@dataclasses.dataclass(eq=False)
class _Request:
    inputs: dict
    count: int
    answer: asyncio.Future


class Batcher:
    """The queue of one signature.

    While a batch is computed the next one gathers, so batches are small when little is asked and large when much is,
    and nobody waits for a batch to fill up.

    Args:
        run: takes name -> array and returns the same; runs in `executor`.
        executor: where batches are computed.
    """

    def __init__(self, run: Callable[[Tensors], Tensors], executor: concurrent.futures.Executor) -> None:
        self._run = run
        self._executor = executor
        self._queue: collections.deque[_Request] = collections.deque()
        self._waiting = 0
        self._worker: asyncio.Task | None = None

    async def submit(self, inputs: Tensors, count: int) -> Tensors:
        """Computes one request, with others or alone.

        Args:
            inputs: name -> array, checked; all with `count` examples.
            count: at most `MAX_BATCH_SIZE`.

        Returns:
            Name -> array, for these examples.

        Raises:
            ServingError: what was wrong with this request; never what was wrong with another.
        """
        if self._waiting + count > MAX_WAITING:
            message = "The batch scheduling queue to which this task was submitted is full"
            raise ServingError(grpc.StatusCode.UNAVAILABLE, message)
        request = _Request(inputs, count, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self._waiting += count
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await request.answer

    async def _work(self):
        loop = asyncio.get_running_loop()
        while batch := self._take():
            results = await loop.run_in_executor(self._executor, self._compute, batch)
            for request, result in zip(batch, results, strict=True):
                _give(request.answer, result)
        self._worker = None

    def _take(self):
        batch, size = [], 0
        while self._queue and size + self._queue[0].count <= MAX_BATCH_SIZE:
            request = self._queue.popleft()
            self._waiting -= request.count
            if not request.answer.done():  # its client may have gone
                batch.append(request)
                size += request.count
        return batch

    def _compute(self, batch):
        """Outputs or an exception for each request. If a batch fails, each is tried alone: one of them is to blame."""
        try:
            merged = {name: np.concatenate([request.inputs[name] for request in batch]) for name in batch[0].inputs}
            outputs = self._run(merged)
            ends = itertools.accumulate(request.count for request in batch)
            return [
                {name: array[end - request.count : end] for name, array in outputs.items()}
                for request, end in zip(batch, ends, strict=True)
            ]
        except Exception as error:
            return [error] if len(batch) == 1 else [self._compute([request])[0] for request in batch]


def _give(answer, result):
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
