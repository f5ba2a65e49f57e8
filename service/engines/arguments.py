"""A configuration and its adapters in, vLLM's command line out; does not import vllm.

So the service and a plain vLLM server can be started with the same words (benchmarks/service_overhead.py).
"""

import json
from collections.abc import Mapping
from pathlib import Path

from machine.lora import LORA_RANKS
from service.config import ServiceConfig
from service.errors import StartError
from starter import resolve_model

Flags = dict[str, str | int | float | bool]

MAX_LORAS = 8


def command_line(config: ServiceConfig, machine: Flags, adapters: Mapping[str, Path]) -> list[str]:
    """Words for vLLM; `machine` are the machine's flags, overruled by the configuration's vllm_args."""
    ours: Flags = {
        "model": str(resolve_model(config.model)),
        "served-model-name": config.served_name,
        "max-model-len": config.max_model_len,
        "max-num-queued-reqs": config.limits.queued_requests,
    }
    words = to_words(ours | machine | lora_flags(config, adapters) | config.vllm_args)
    modules = [
        json.dumps({"name": name, "path": str(folder.resolve()), "base_model_name": config.served_name})
        for name, folder in adapters.items()
    ]
    if not modules:
        return words
    # Named, because vLLM would otherwise wrap lm_head too, whose rows it cannot tell apart in prompt_logprobs.
    targets = sorted({name for folder in adapters.values() for name in target_modules(folder)})
    named = ["--lora-target-modules", *targets] if targets else []
    return [*words, *named, "--lora-modules", *modules]


def target_modules(adapter: Path) -> list[str]:
    """The projections an adapter names in PEFT's own file; none when it gives a pattern instead of a list."""
    found = json.loads((adapter / "adapter_config.json").read_text()).get("target_modules")
    return found if isinstance(found, list) else []


def lora_flags(config: ServiceConfig, adapters: Mapping[str, Path]) -> Flags:
    """Room for these adapters. All stay in host memory: vLLM dies when one it dropped cannot be read again."""
    if not adapters:
        return {}
    slots = config.max_loras or min(len(adapters), MAX_LORAS)
    rank = max(rank_of(folder) for folder in adapters.values())
    return {
        "enable-lora": True,
        "max-loras": slots,
        "max-cpu-loras": max(slots, len(adapters)),
        "max-lora-rank": next(size for size in LORA_RANKS if size >= rank),
    }


def rank_of(adapter: Path) -> int:
    """The adapter's rank, from PEFT's own file."""
    file = adapter / "adapter_config.json"
    try:
        rank = int(json.loads(file.read_text())["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StartError(f"{file}: cannot be read as a PEFT configuration ({error})") from error
    if not 1 <= rank <= LORA_RANKS[-1]:
        raise StartError(f'{file}: rank "{rank}" is not between 1 and {LORA_RANKS[-1]}')
    return rank


def to_words(flags: Flags) -> list[str]:
    """Flags as command-line words; true stands alone, false becomes --no-NAME."""
    words = []
    for name, value in flags.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words += [f"--{name}", str(value)]
    return words
