"""What the service's engine needs of the process before vllm is imported."""

from machine.environment import LORA_PLUGIN, cpu_build, prepare
from service.config import LimitsConfig
from service.engines.arguments import Flags
from service.errors import StartError
from service.lora_cpu import kernel_status


def prepare_engine(limits: LimitsConfig) -> Flags:
    """Set the environment; returns the engine flags for this machine."""
    if cpu_build() and not kernel_status()["registered"]:
        # Without it vLLM answers base rows with an adapter's weights, in silence.
        raise StartError(
            f'vLLM will not find the plugin "{LORA_PLUGIN}": run `make setup`, and name it in VLLM_PLUGINS'
        )
    arguments = prepare({"VLLM_MAX_N_SEQUENCES": str(limits.choices)})
    return {name.replace("_", "-"): value for name, value in arguments.items()}
