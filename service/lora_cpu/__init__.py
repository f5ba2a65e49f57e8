"""A vLLM plugin (`vllm.general_plugins`) that makes LoRA on CPU correct and fast; see punica.py for what it replaces.

register() is what vLLM calls in every process; kernel_status() is what a doctor command prints. With
POINTSMAN_LORA_CPU=stock vLLM stays as it is, to measure against. This module imports nothing heavy: vLLM loads it on
every platform.
"""

import multiprocessing
import os
from typing import Any

from machine.environment import lora_plugin_found

__all__ = ["kernel_status", "register"]

ENGINE_NICE = 5
WRAPPER = "service.lora_cpu.punica.GroupedPunicaWrapper"


def register() -> None:
    """Have the CPU platform name our Punica wrapper; nothing on other platforms. May be called any number of times."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    yield_to_the_gate()
    if os.environ.get("POINTSMAN_LORA_CPU") == "stock":
        return
    # The platform names its wrapper by a dotted path; answering with ours is the one hook there is. The alternative,
    # a platform plugin that subclasses CpuPlatform, would replace the whole platform to change this one answer.
    type(current_platform).get_punica_wrapper = classmethod(lambda cls: WRAPPER)


def yield_to_the_gate() -> None:
    """Lower the priority of an engine in a process of its own, so that what is quick is not kept waiting by it.

    On a CPU it computes on every core; the gate and the event loop, in the parent, need milliseconds a request.
    """
    if multiprocessing.parent_process() is not None and os.getpriority(os.PRIO_PROCESS, 0) < ENGINE_NICE:
        os.setpriority(os.PRIO_PROCESS, 0, ENGINE_NICE)


def kernel_status() -> dict[str, Any]:
    """What would serve here; compiles the kernel if need be.

    `path`: "fused", "grouped" or "stock"; `reason`: why not fused; `library`, `compiler`; `registered`: whether vLLM
    will find register() (the package is installed and VLLM_PLUGINS, where set, names it). Unregistered means stock.
    """
    registered = {"registered": lora_plugin_found()}
    if os.environ.get("POINTSMAN_LORA_CPU") == "stock":
        return {"path": "stock", "reason": "POINTSMAN_LORA_CPU=stock", "library": None, "compiler": None} | registered
    from service.lora_cpu import kernel

    return kernel.status() | registered
