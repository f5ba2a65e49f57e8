"""Compile and load the fused LoRA kernel (kernel.cpp), once per machine, compiler and source.

The shared object has a plain C interface called through ctypes: it builds in about two seconds (a torch extension needs
half a minute of headers) and one call costs a few microseconds. It lies in `<home>/kernels/<hash>/`, the hash covering
source, flags and compiler version, and is moved into place whole, so that engines starting together never meet half of
it. Not covered: compilers other than GNU's (clang would bring LLVM's OpenMP and with it a second pool of threads) and
processors without AVX512-BF16; there `load()` gives None and the grouped matrix products serve.
"""

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from starter import home

SOURCE = Path(__file__).with_name("kernel.cpp")
FLAGS = ("-O3", "-std=c++17", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512bf16")
LINK = ("-fopenmp", "-fPIC", "-shared")
COMPILE_TIMEOUT_S = 120
MAX_RANK = 512
RANK_TILE = 4


class Slice(ctypes.Structure):
    """One slice of a packed linear (q of qkv): addresses of A (slots, rank, n_in) and B (slots, n_out, rank)."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("a", "b")] + [
        (name, ctypes.c_int64) for name in ("out_offset", "n_out")
    ]


class Layer(ctypes.Structure):
    """The adapter weights of one linear, constant while the engine lives; the slots' contents may change."""

    _fields_ = [("slices", ctypes.POINTER(Slice))] + [(name, ctypes.c_int64) for name in ("n_slices", "rank", "n_in")]


class RowGroups(ctypes.Structure):
    """Which rows belong to which slot in this step; see groups.Groups."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("rows", "bounds", "slots")] + [
        (name, ctypes.c_int64) for name in ("n_groups", "n_rows")
    ]


class KernelUnavailable(Exception):
    """The fused kernel cannot serve here; the message says why, and the grouped path is used instead."""


def _compiler() -> tuple[str, str]:
    """Path and version line of g++."""
    path = shutil.which("g++")
    if path is None:
        raise KernelUnavailable("no g++ on PATH; install it (Debian: apt-get install g++) for the faster kernel")
    asked = [path, "--version"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S).stdout
    return path, version.partition("\n")[0]


def _library(compiler: str, version: str) -> Path:
    """Where the compiled kernel lies, compiling it if it does not."""
    recipe = "\0".join((SOURCE.read_text(), *FLAGS, *LINK, version))
    folder = home() / "kernels" / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    library = folder / "lora_cpu.so"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _compile(compiler, library)
    return library


def _compile(compiler: str, library: Path) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as work:
        part = Path(work) / library.name
        command = [compiler, *FLAGS, *LINK, str(SOURCE), "-o", str(part)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S)
        if done.returncode:
            raise KernelUnavailable(f"g++ refused kernel.cpp: {done.stderr.strip()[-500:]!r}")
        part.replace(library)


@cache
def _load() -> tuple[ctypes.PyDLL | None, dict[str, Any]]:
    try:
        if not torch.cpu._is_avx512_bf16_supported():
            raise KernelUnavailable("this processor has no AVX512-BF16")
        compiler, version = _compiler()
        library = _library(compiler, version)
        # PyDLL keeps the interpreter lock: a call lasts microseconds, and giving the lock away beside a busy event
        # loop would cost up to the 5 ms switch interval to get it back.
        kernel = ctypes.PyDLL(str(library))
    except (KernelUnavailable, OSError, subprocess.SubprocessError) as error:
        return None, {"path": "grouped", "reason": str(error), "library": None, "compiler": None}
    kernel.pointsman_lora_add.restype = None
    pointer, stride = ctypes.c_void_p, ctypes.c_int64
    kernel.pointsman_lora_add.argtypes = [pointer, pointer, pointer, stride, pointer, stride, ctypes.c_float]
    return kernel, {"path": "fused", "reason": "", "library": str(library), "compiler": version}


def load() -> ctypes.PyDLL | None:
    """The kernel, compiled and loaded at the first call of the process; None where it cannot be had."""
    return _load()[0]


def status() -> dict[str, Any]:
    """`path` ("fused" or "grouped"), `reason` (why not fused), `library` and `compiler`. Compiles if need be."""
    return dict(_load()[1])
