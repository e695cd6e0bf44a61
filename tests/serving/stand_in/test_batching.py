import asyncio
import concurrent.futures
import threading

import numpy as np
import pytest

from i2p_tf.serving.stand_in import batching
from i2p_tf.serving.stand_in.batching import Batcher
from i2p_tf.serving.stand_in.errors import ServingError, invalid


class Model:
    """Doubles; counts its batches; waits in the first until it may go on; a negative number is an error."""

    def __init__(self):
        self.sizes = []
        self.may_go_on = threading.Event()

    def __call__(self, inputs):
        self.sizes.append(len(inputs["x"]))
        self.may_go_on.wait()
        if (inputs["x"] < 0).any():
            raise invalid("negative")
        return {"y": inputs["x"] * 2}


def run(test):
    async def work():
        model = Model()
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            try:
                await test(model, Batcher(model, executor))
            finally:
                model.may_go_on.set()

    asyncio.run(work())


def submit(batcher, *values):
    return asyncio.create_task(batcher.submit({"x": np.array(values)}, len(values)))


async def begun(model):
    async with asyncio.timeout(60):
        while not model.sizes:
            await asyncio.sleep(0.001)


def test_what_waits_is_computed_together():
    async def test(model, batcher):
        first = submit(batcher, 1)
        await begun(model)
        others = [submit(batcher, 2, 3), submit(batcher, 4)]
        await asyncio.sleep(0)
        model.may_go_on.set()
        answers = [(await task)["y"].tolist() for task in (first, *others)]
        assert answers == [[2], [4, 6], [8]] and model.sizes == [1, 3]
        assert (await submit(batcher, 5))["y"].tolist() == [10]

    run(test)


def test_a_batch_has_a_largest_size():
    async def test(model, batcher):
        tasks = [submit(batcher, 0)]
        await begun(model)
        tasks += [submit(batcher, *range(40)) for _ in range(3)]
        await asyncio.sleep(0)
        model.may_go_on.set()
        await asyncio.gather(*tasks)
        assert model.sizes == [1, 40, 40, 40]

    run(test)


def test_an_error_meets_only_the_request_that_caused_it():
    async def test(model, batcher):
        tasks = [submit(batcher, 0)]
        await begun(model)
        tasks += [submit(batcher, 1), submit(batcher, -1), submit(batcher, 2)]
        await asyncio.sleep(0)
        model.may_go_on.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [answer["y"].tolist() for answer in (answers[1], answers[3])] == [[2], [4]]
        assert isinstance(answers[2], ServingError) and str(answers[2]) == "negative"

    run(test)


def test_a_request_whose_client_has_gone_is_not_computed():
    async def test(model, batcher):
        first = submit(batcher, 0)
        await begun(model)
        gone, other = submit(batcher, 1), submit(batcher, 2)
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.may_go_on.set()
        await asyncio.gather(first, other)
        assert model.sizes == [1, 1]

    run(test)


def test_a_full_queue_turns_requests_away(monkeypatch):
    monkeypatch.setattr(batching, "MAX_WAITING", 3)

    async def test(model, batcher):
        first = submit(batcher, 0)
        await begun(model)
        waiting = submit(batcher, 1, 2, 3)
        await asyncio.sleep(0)
        with pytest.raises(ServingError, match="queue .* is full") as caught:
            await submit(batcher, 4)
        assert caught.value.http_status == 503
        model.may_go_on.set()
        await asyncio.gather(first, waiting)
        assert (await submit(batcher, 4))["y"].tolist() == [8]

    run(test)
