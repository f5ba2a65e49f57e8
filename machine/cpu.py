"""Threads, executor, allocator and KV cache for vLLM on this many cores; benchmarks/lora_cpu.py measures the choice.

vLLM's defaults on CPU keep one core for its own processes, which on two cores halves the model's threads, and give
engine and worker a process each. Up to FEW_CORES the two share one (vllm.LLM: the caller's own; AsyncLLM: one child),
with a thread on every core; above it vLLM's own choice stands (it binds by NUMA node, and one core kept back costs
little), which is not measured. A variable that the user has set is never changed. Not covered: several sockets with one
engine each.
"""

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FEW_CORES = 4
KV_CACHE_SHARE = 0.25
KV_CACHE_LIMIT_GIB = 8
# Above this the workers sleep between two steps, and a sleeping engine burns no core; in milliseconds.
BLOCK_TIME_MS = 5


@dataclass(frozen=True)
class CpuSettings:
    """What must be in the environment before vllm is imported, and the engine arguments that go with it."""

    env: Mapping[str, str]
    engine_args: Mapping[str, str | bool] = field(default_factory=dict)


def choose(cores: int, free_gib: float, environ: Mapping[str, str], kv_cache_gib: int | None = None) -> CpuSettings:
    """Settings for `cores` usable cores and `free_gib` of free memory; what `environ` already sets, stays."""
    gib = kv_cache_gib or max(1, min(KV_CACHE_LIMIT_GIB, int(free_gib * KV_CACHE_SHARE)))
    wanted = {"VLLM_CPU_KVCACHE_SPACE": str(gib), "VLLM_WORKER_MULTIPROC_METHOD": "spawn"}
    if cores <= FEW_CORES:
        wanted |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(cores),
            "KMP_BLOCKTIME": str(BLOCK_TIME_MS),
        }
    env = {name: environ.get(name, value) for name, value in wanted.items()}
    # vLLM allows the single-process executor only where its multiprocessing is off.
    single = env.get("VLLM_ENABLE_V1_MULTIPROCESSING", environ.get("VLLM_ENABLE_V1_MULTIPROCESSING", "1")) == "0"
    engine_args = {
        "distributed_executor_backend": "uni" if single else "mp",
        "enforce_eager": True,  # vLLM compiles nothing on CPU while LoRA is enabled
        "dtype": "bfloat16",
        # A prompt split over two steps takes back the random number drawn in between, which vLLM's engine dies of on
        # CPU when the request has a seed: a CPU's generator cannot be wound back (gpu_model_runner, _bookkeeping_sync).
        "enable_chunked_prefill": False,
    }
    return CpuSettings(env, engine_args)


def choose_here(kv_cache_gib: int | None = None) -> CpuSettings:
    """choose() for this process: its cores, its memory, its environment."""
    return choose(usable_cores(), free_gib(), os.environ, kv_cache_gib)


def apply(settings: CpuSettings) -> None:
    """Set the environment. Must come before vllm is imported: it and OpenMP read it once."""
    late = {name: value for name, value in settings.env.items() if os.environ.get(name) != value}
    if late and "vllm" in sys.modules:
        raise RuntimeError(f"vllm is already imported; set {sorted(late)} before, by calling apply() first")
    os.environ.update(late)


def preload_path(folders: tuple[Path, ...] | None = None) -> str:
    """LD_PRELOAD for a process about to start: tcmalloc and Intel's OpenMP where they are installed; "" if neither.

    A running process cannot preload. AsyncLLM's engine is a child: setting os.environ["LD_PRELOAD"] before it starts is
    enough; vllm.LLM in one process needs the whole process started with it.
    """
    if folders is None:
        system = Path("/usr/lib")
        folders = (Path(sys.prefix) / "lib", system, *sorted(system.glob("*-linux-gnu")))
    found = (_first(folders, pattern) for pattern in ("libtcmalloc_minimal.so*", "libiomp5.so"))
    return ":".join(str(path) for path in found if path)


def _first(folders: tuple[Path, ...], pattern: str) -> Path | None:
    return next((path for folder in folders for path in sorted(folder.glob(pattern))), None)


def usable_cores(cpu_max: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores this process may use: its affinity, and in a container the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = cpu_max.read_text().partition(" ") if cpu_max.exists() else ("max", "", "")
    return cores if quota.strip() == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


def free_gib(meminfo: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")) -> float:
    """Free memory in GiB: what the kernel calls available, and in a container what is left of its limit."""
    available = 0
    if meminfo.exists():
        lines = (line.split() for line in meminfo.read_text().splitlines())
        available = next((int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:"), 0)
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and limit.read_text().strip() != "max":
        available = min(available, int(limit.read_text()) - int(used.read_text()))
    return available / 2**30
