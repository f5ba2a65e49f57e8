"""In a process of its own: what is set stays set until its end."""

import subprocess
import sys

PROGRAM = """
import resource, sys
import torch
from machine.heap import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
for _ in range(20):
    torch.ones(8 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(8 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(way: str) -> int:
    """Pages that 20 blocks of 32 MiB cost, one after the other."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, way], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_freed_memory_is_used_again_without_asking_the_kernel() -> None:
    """Each block has 8,192 pages of 4 KiB; huge pages make them fewer."""
    assert page_faults("kept") < 200
    assert page_faults("default") > 10 * 200 or page_faults("default") > 3 * page_faults("kept")


GIVING = """
import sys
import torch
from machine import heap

heap.LITTLE_GIB = float(sys.argv[1])
assert heap.keep_freed_memory()
blocks = [torch.ones(8 << 20) for _ in range(20)]
del blocks[:-1]
heap.give_back()
pages = int(open("/proc/self/statm").read().split()[1])
print(pages * 4 // 1024)
"""


def test_freed_memory_is_given_back_where_little_is_left() -> None:
    """19 blocks of 32 MiB under one that is still used: with enough free they stay."""
    few, many = (
        int(subprocess.run([sys.executable, "-c", GIVING, free], capture_output=True, text=True, check=True).stdout)
        for free in ("1e6", "0")
    )
    assert many - few > 400
