"""Compiling, caching and loading the kernel, each in a process of its own: a loaded library stays loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from service.lora_cpu import kernel

ROOT = Path(__file__).parents[3]
NEEDS_KERNEL = pytest.mark.skipif(kernel.load() is None, reason="no fused kernel here")

STATUS = "import json; from service.lora_cpu import kernel_status; print(json.dumps(kernel_status()))"

# Threads of the process after a product on every core by torch, and again after one by the kernel.
THREADS = """
import json, os
import numpy, torch
from service.lora_cpu import kernel, linear
from service.lora_cpu.groups import group_rows
torch.randn(2048, 2048) @ torch.randn(2048, 2048)
library = kernel.load()
before = len(os.listdir("/proc/self/task"))
a, b = torch.zeros(1, 1, 16, 4096).bfloat16(), torch.zeros(1, 1, 4096, 16).bfloat16()
x, y = torch.zeros(256, 4096).bfloat16(), torch.zeros(256, 4096).bfloat16()
linear.add_fused(library, linear.plan((a,), (b,), (4096,)), group_rows(numpy.zeros(256, dtype=numpy.int64)), y, x, 1.0)
print(json.dumps([before, len(os.listdir("/proc/self/task"))]))
"""


def _run(code: str, **env: str) -> Any:
    environ = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"} | env
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@NEEDS_KERNEL
def test_compiled_once_then_found(tmp_path: Path) -> None:
    """The second process takes the first one's file, and nothing half-made lies beside it."""
    first = _run(STATUS, POINTSMAN_HOME=str(tmp_path))
    assert first["path"] == "fused" and Path(first["library"]).is_relative_to(tmp_path / "kernels")
    made = Path(first["library"]).stat().st_mtime_ns
    assert _run(STATUS, POINTSMAN_HOME=str(tmp_path)) == first
    assert Path(first["library"]).stat().st_mtime_ns == made
    assert [path.name for path in Path(first["library"]).parent.iterdir()] == ["lora_cpu.so"]


def test_without_a_compiler_the_reason_is_given(tmp_path: Path) -> None:
    """An empty PATH: grouped products, and a sentence that names the cure."""
    status = _run(STATUS, POINTSMAN_HOME=str(tmp_path), PATH=str(tmp_path))
    assert status["path"] == "grouped" and ("g++" in status["reason"] or "AVX512" in status["reason"])


@NEEDS_KERNEL
def test_a_home_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    """The engine must start all the same."""
    (tmp_path / "file").write_text("")
    status = _run(STATUS, POINTSMAN_HOME=str(tmp_path / "file"))
    assert status["path"] == "grouped" and "file" in status["reason"]


def test_the_switch_leaves_stock() -> None:
    """POINTSMAN_LORA_CPU=stock is the benchmark's baseline."""
    assert _run(STATUS, POINTSMAN_LORA_CPU="stock")["path"] == "stock"


@NEEDS_KERNEL
@pytest.mark.parametrize("preload", ["", str(Path(sys.prefix) / "lib" / "libiomp5.so")], ids=["libgomp", "libiomp5"])
def test_no_second_pool_of_threads(preload: str) -> None:
    """The kernel runs on the threads that torch made, with either OpenMP runtime."""
    if preload and not Path(preload).exists():
        pytest.skip("Intel's OpenMP is not installed")
    before, after = _run(THREADS, LD_PRELOAD=preload)
    assert before == after


def test_an_allowlist_that_leaves_us_out_is_seen() -> None:
    """VLLM_PLUGINS drops every plugin it does not name; vLLM would then use its own operators, in silence."""
    assert _run(STATUS, VLLM_PLUGINS="another")["registered"] is False
