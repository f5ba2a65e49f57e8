"""Memory that was freed is kept for what is allocated next, where the C library is glibc.

A training step on a CPU frees and allocates gigabytes. By default glibc maps each large block anew, so that the kernel
clears every page of it again: a fifth of the time and more. benchmarks/training.py measures the difference.
Not covered: other C libraries, and allocators that were loaded before (tcmalloc keeps freed memory itself).
"""

import ctypes

from machine.cpu import free_gib

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
NEVER, NONE = -1, 0
LITTLE_GIB = 6.0


def keep_freed_memory() -> bool:
    """Tell the allocator of this process; False where there is nothing to tell.

    It gives nothing back by itself any more; where blocks of ever other sizes leave it in pieces, give_back() does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all((mallopt(M_MMAP_MAX, NONE), mallopt(M_TRIM_THRESHOLD, NEVER)))


def give_back() -> None:
    """Let the kernel have what is free now, if the machine has little left: its pages will be cleared anew."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None and free_gib() < LITTLE_GIB:
        trim(0)
