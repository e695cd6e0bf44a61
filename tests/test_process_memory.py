"""Freed memory is there for the next step."""

import subprocess
import sys

import pytest

# Five times 100 MB, as a step allocates and frees them, in a thread: page faults of the last four.
STEPS = """
import ctypes, resource, sys, threading
from i2p_tf import process_memory
if sys.argv[1] == "kept":
    process_memory.keep_freed()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes, libc.memset.argtypes = (
    ctypes.c_void_p, [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t])

def step():
    blocks = [libc.malloc(10_000_000) for _ in range(10)]
    for block in blocks:
        libc.memset(block, 1, 10_000_000)
    for block in blocks:
        libc.free(block)

def steps():
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

thread = threading.Thread(target=steps)
thread.start()
thread.join()
"""


def page_faults(how):
    return int(subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc is Linux's")
def test_what_a_step_has_freed_the_next_one_takes_without_a_page_fault():
    assert page_faults("given back") > 4000
    assert page_faults("kept") < 500
