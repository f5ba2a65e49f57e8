"""A PEFT folder and the base it claims in; refusals out, before an engine sees a tensor.

vLLM accepts adapters of another width, rank or base in silence, and one non-finite weight spoils the base model's
answers until the engine restarts; so names, shapes, rank and finiteness are checked here.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from index.errors import BundleError

PREFIX = "base_model.model."
BLOCK_BYTES = 4096


@dataclass(frozen=True)
class BaseFacts:
    """What makes two bases the same for an adapter: weights, template, and the shape (out, in) of each matrix."""

    id: str
    fingerprint: str
    template_hash: str
    shapes: dict[str, tuple[int, ...]]


def base_facts(folder: Path) -> BaseFacts:
    """Read the facts of a model folder; raises BundleError when it holds no safetensors weights."""
    config = json.loads((folder / "config.json").read_text())
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise BundleError(f'base "{folder}" has no .safetensors weights: choose a model saved in that format')
    shapes: dict[str, tuple[int, ...]] = {}
    digest = hashlib.sha256()
    for shard in shards:
        with safe_open(shard, "pt") as tensors:
            names = tensors.keys()
            shapes |= {name: tuple(tensors.get_slice(name).get_shape()) for name in names}
        digest.update(sampled(shard))
    name = config.get("_name_or_path") or config.get("_model_name_or_path") or folder.name
    return BaseFacts(name, digest.hexdigest(), template_hash(folder), shapes)


def sampled(shard: Path) -> bytes:
    """A digest of a shard's size, its header, and the first, middle and last block of every tensor.

    Evenly spaced blocks would step over whole tensors. Not seen: an edit that keeps to the places between the blocks.
    """
    digest = hashlib.sha256(str(shard.stat().st_size).encode())
    with shard.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
        digest.update(header)
        data = file.tell()
        for start, length in blocks(header):
            file.seek(data + start)
            digest.update(file.read(length))
    return digest.digest()


def blocks(header: bytes) -> Iterator[tuple[int, int]]:
    """Start, after the header, and length of each sampled block, as the tensors lie; short tensors are one block."""
    tensors = json.loads(header)
    tensors.pop("__metadata__", None)
    for begin, end in sorted(tensor["data_offsets"] for tensor in tensors.values()):
        last = max(begin, end - BLOCK_BYTES)
        for start in sorted({begin, (begin + last) // 2, last}):
            yield start, min(BLOCK_BYTES, end - start)


def template_hash(folder: Path) -> str:
    """SHA-256 of the chat template, wherever the folder keeps it."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return hashlib.sha256(file.read_bytes()).hexdigest()
    settings = folder / "tokenizer_config.json"
    template = json.loads(settings.read_text()).get("chat_template", "") if settings.is_file() else ""
    return hashlib.sha256(str(template).encode()).hexdigest()


# What PEFT can train and the engine would leave out in silence, or apply otherwise.
UNSERVED = (
    "rank_pattern", "alpha_pattern", "use_dora", "use_rslora", "fan_in_fan_out", "lora_bias", "modules_to_save",
)  # fmt: skip
ALPHA_LIMIT = 65536


def check_adapter(folder: Path, base: BaseFacts) -> dict[str, Any]:
    """Refuse an adapter that does not fit the base or could poison it; returns its configuration."""
    path = folder / "adapter_config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BundleError(f'adapter file "{path}" cannot be read ({error}): export the adapter again') from error
    if not isinstance(config, dict):
        raise BundleError(f'adapter file "{path}" holds "{str(config)[:40]}", no settings: export the adapter again')
    if config.get("peft_type") != "LORA":
        raise BundleError(f'adapter "{path}" is of type "{config.get("peft_type")}": train a plain LoRA adapter')
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise BundleError(f'adapter "{path}" has rank "{rank}": a rank is a whole number above 0')
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not 0 < alpha <= ALPHA_LIMIT:
        raise BundleError(f'adapter "{path}" has lora_alpha "{alpha}": it is a number above 0, at most {ALPHA_LIMIT}')
    for key in UNSERVED:
        if config.get(key):
            value = str(config[key])[:100]
            raise BundleError(f'adapter "{path}" has {key} "{value}", which is not served: train it without')
    if config.get("bias", "none") != "none":
        raise BundleError(f'adapter "{path}" has bias "{config["bias"]}": train it with bias "none"')
    check_weights(folder / "adapter_model.safetensors", config["r"], base)
    return config


def check_weights(path: Path, rank: int, base: BaseFacts) -> None:
    """Refuse tensors that cannot be read, do not fit the base, lack their other half, or are not finite."""
    try:
        with safe_open(path, "pt") as tensors:
            names = list(tensors.keys())
            for name in names:
                check_tensor(path, name, tensors.get_tensor(name), rank, base)
    except (OSError, SafetensorError) as error:
        raise BundleError(
            f'adapter file "{path}" cannot be read ({error}): copy it again, it may be truncated'
        ) from error
    if not names:
        raise BundleError(f'adapter file "{path}" holds "0" tensors: export the adapter again')
    for name in names:
        other = name.replace(*(".lora_A.", ".lora_B.") if ".lora_A." in name else (".lora_B.", ".lora_A."))
        if other not in names:
            raise BundleError(f'adapter file "{path}" holds "{name}" without "{other}": export the adapter again')


def check_tensor(path: Path, name: str, tensor: torch.Tensor, rank: int, base: BaseFacts) -> None:
    """Refuse one tensor: A is (rank, in), B is (out, rank), of a matrix (out, in) that the base has."""
    module, _, side = name.removeprefix(PREFIX).partition(".lora_")
    shape = base.shapes.get(f"{module}.weight")
    if shape is None or len(shape) != 2 or side not in ("A.weight", "B.weight"):
        raise BundleError(
            f'"{path}" holds "{name}", which base "{base.id}" has no matrix for: it was trained on another base'
        )
    wanted = (rank, shape[1]) if side == "A.weight" else (shape[0], rank)
    if tuple(tensor.shape) != wanted:
        raise BundleError(
            f'"{path}" tensor "{name}" has shape {tuple(tensor.shape)}, not {wanted} as rank {rank} on base '
            f'"{base.id}" needs: the rank in adapter_config.json or the base is another'
        )
    if not tensor.is_floating_point() or tensor.element_size() < 2:
        raise BundleError(f'"{path}" tensor "{name}" is of type "{tensor.dtype}": export it in bfloat16 or float32')
    if not bool(torch.isfinite(tensor).all()):
        raise BundleError(f'"{path}" tensor "{name}" holds NaN or infinite weights: train or export the adapter again')
