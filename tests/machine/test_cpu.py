"""Settings by number of cores: pure, and what the user has set stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from machine.cpu import CpuSettings, apply, choose, free_gib, preload_path, usable_cores

ROOT = Path(__file__).parents[3]


def test_few_cores_run_the_model_in_this_process_on_all_of_them() -> None:
    """vLLM's default would keep one of the two."""
    settings = choose(2, 20.0, {})
    assert settings.env["OMP_NUM_THREADS"] == "2"
    assert settings.env["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert settings.env["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert settings.engine_args["distributed_executor_backend"] == "uni"


def test_many_cores_keep_vllms_own_threads() -> None:
    """It binds by NUMA node; nothing here is known to be better."""
    settings = choose(64, 200.0, {})
    assert settings.engine_args["distributed_executor_backend"] == "mp"
    assert settings.engine_args["enable_chunked_prefill"] is False
    assert "OMP_NUM_THREADS" not in settings.env and "VLLM_CPU_OMP_THREADS_BIND" not in settings.env


@pytest.mark.parametrize(("free", "expected"), [(0.5, "1"), (7.9, "1"), (12, "3"), (22, "5"), (500, "8")])
def test_the_cache_takes_a_quarter_of_free_memory_in_whole_gib(free: float, expected: str) -> None:
    """vLLM reads an integer; at least one, at most eight."""
    assert choose(2, free, {}).env["VLLM_CPU_KVCACHE_SPACE"] == expected


def test_a_stated_cache_size_is_taken() -> None:
    assert choose(2, 22, {}, kv_cache_gib=2).env["VLLM_CPU_KVCACHE_SPACE"] == "2"


def test_the_users_variables_stay() -> None:
    """Every one of them, and a user who keeps vLLM's processes gets the executor that goes with them."""
    mine = {"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "9", "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    settings = choose(2, 20.0, mine, kv_cache_gib=3)
    assert {name: settings.env[name] for name in mine} == mine
    assert settings.engine_args["distributed_executor_backend"] == "mp"
    assert (
        choose(64, 20.0, {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}).engine_args["distributed_executor_backend"] == "uni"
    )


def test_apply_after_vllm_is_refused_unless_nothing_changes() -> None:
    """A late change would be half read; in a process of its own, because it is about what is imported."""
    code = (
        "import os, sys, types\n"
        "from machine.cpu import CpuSettings, apply\n"
        "apply(CpuSettings({'OMP_NUM_THREADS': '3'}))\n"
        "assert os.environ['OMP_NUM_THREADS'] == '3'\n"
        "sys.modules['vllm'] = types.ModuleType('vllm')\n"
        "apply(CpuSettings({'OMP_NUM_THREADS': '3'}))\n"
        "try:\n    apply(CpuSettings({'OMP_NUM_THREADS': '4'}))\n"
        "except RuntimeError as error:\n    assert 'OMP_NUM_THREADS' in str(error)\n"
        "else:\n    raise SystemExit('not refused')\n"
    )
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, timeout=60)


def test_apply_of_what_is_set_changes_nothing() -> None:
    before = dict(os.environ)
    apply(CpuSettings({"PATH": os.environ["PATH"]}))
    assert dict(os.environ) == before


def test_preload_names_what_is_installed(tmp_path: Path) -> None:
    """tcmalloc first, then Intel's OpenMP; an empty text where there is neither."""
    assert preload_path((tmp_path,)) == ""
    for name in ("libiomp5.so", "libtcmalloc_minimal.so.4"):
        (tmp_path / name).touch()
    assert preload_path((tmp_path,)) == f"{tmp_path}/libtcmalloc_minimal.so.4:{tmp_path}/libiomp5.so"


def test_a_containers_quota_counts(tmp_path: Path) -> None:
    """Two processors' worth of time on a larger host are two cores; "max" is no quota."""
    quota = tmp_path / "cpu.max"
    quota.write_text("50000 100000\n")
    assert usable_cores(quota) == 1
    quota.write_text("max 100000\n")
    assert usable_cores(quota) == usable_cores(tmp_path / "absent") >= 1


def test_a_containers_memory_limit_counts(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n")
    assert free_gib(meminfo, tmp_path) == 8
    (tmp_path / "memory.max").write_text(f"{4 * 2**30}\n")
    (tmp_path / "memory.current").write_text(f"{2**30}\n")
    assert free_gib(meminfo, tmp_path) == 3
