"""Freed memory is used again instead of being asked for anew."""

import subprocess
import sys

import pytest

from autoft.training import memory

# In a process of its own: what it sets holds for the whole process.
PROGRAM = """
import resource, sys, torch
from autoft.training import memory
torch.set_num_threads(1)
if sys.argv[1] == "keep":
    assert memory.keep() and memory.keep()
def faults():
    torch.zeros(1 << 24)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
first = faults()
for _ in range(40):
    last = faults()
print(last - first)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_large_tensor_that_is_made_again_costs_no_new_pages():
    if not memory.keep():
        pytest.skip("this system's allocator can't be told")
    assert faults("keep") < 0.1 * faults("as it is")
