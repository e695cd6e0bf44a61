"""A process of its own that reads large JSON requests.

Python's JSON parser lets nobody else run while it works, which for 16 MiB is most of a second, and a list takes many
times the memory of its text. In another process it holds up nobody, and the system bounds the memory of each request.
"""

import asyncio
import contextlib
import os
import pathlib
import pickle
import resource
import signal
import sys

import grpc

from i2p_tf.serving.stand_in import json_tensors
from i2p_tf.serving.stand_in.errors import ServingError, invalid
from i2p_tf.serving.stand_in.json_tensors import ParsedRequest
from i2p_tf.serving.stand_in.limits import EXPANSION, SMALL_REQUEST_BYTES
from i2p_tf.serving.stand_in.signatures import Signature

_HEAD_BYTES = 8  # before each message: its length
_PACKAGES = pathlib.Path(__file__).resolve().parents[3]


class JsonProcess:
    """The server's side: starts the process at the first request, and again when it has died."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()  # one request at a time

    async def parse(self, body: bytes, signatures: dict[str, Signature]) -> ParsedRequest:
        """As `json_tensors.parse`."""
        async with self._turn:
            try:
                answer = await self._exchange(pickle.dumps(signatures), body)
            except (OSError, asyncio.IncompleteReadError) as error:
                await self._end()
                raise ServingError(grpc.StatusCode.UNAVAILABLE, "the request could not be read; try again") from error
            except BaseException:  # half an exchange is no beginning of the next
                await self._end()
                raise
        if isinstance(answer, ServingError):
            raise answer
        return answer

    async def close(self) -> None:
        """Ends the process. No request may be under way."""
        async with self._turn:
            await self._end()

    async def _exchange(self, *messages):
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", __name__),
                env=os.environ | {"PYTHONPATH": str(_PACKAGES), "OPENBLAS_NUM_THREADS": "1"},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        requests, answers = self._process.stdin, self._process.stdout
        assert requests and answers  # they are pipes
        for message in messages:
            requests.write(len(message).to_bytes(_HEAD_BYTES))
            requests.write(message)
        await requests.drain()
        length = int.from_bytes(await answers.readexactly(_HEAD_BYTES))
        return pickle.loads(await answers.readexactly(length))

    async def _end(self):
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def main() -> None:
    """Answers what comes on stdin, until it ends: with the server, whatever becomes of that."""
    for number in (signal.SIGINT, signal.SIGTERM):  # for the whole group; the server still has requests to answer
        signal.signal(number, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while signatures := _read(requests):
        answer = pickle.dumps(_answer(_read(requests), pickle.loads(signatures)))
        answers.write(len(answer).to_bytes(_HEAD_BYTES) + answer)
        answers.flush()


def _read(stream):
    return stream.read(int.from_bytes(stream.read(_HEAD_BYTES)))


def _answer(body, signatures):
    try:
        with _bounded_memory(EXPANSION * max(len(body), SMALL_REQUEST_BYTES)):
            return json_tensors.parse(body, signatures)
    except ServingError as error:
        return ServingError(error.code, str(error))  # without the traceback, which holds what was read
    except MemoryError:
        return invalid(f"the request takes more than {EXPANSION} times the memory of its bytes")


@contextlib.contextmanager
def _bounded_memory(size):
    """More than `size` bytes beyond what is in use are a MemoryError, where the system can tell (Linux)."""
    former = resource.getrlimit(resource.RLIMIT_DATA)
    with contextlib.suppress(OSError, ValueError):
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[5])
        resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, former)


if __name__ == "__main__":
    main()
