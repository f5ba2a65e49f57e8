"""A model folder in, a model with a trainable LoRA adapter out; and the adapter back on disk.

The adapter is kept in float32 while training and saved in bfloat16. One that goes on from another starts with its
weights, so what comes out serves on the shared base like any other; an adapter merged into its base would need a base
of its own.
"""

import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from index.adapter import base_facts, check_adapter
from training.config import PROJECTIONS, Quantisation
from training.errors import StageError
from training.trainer.quantise import load_base


def with_adapter(
    model_folder: Path, rank: int, alpha: float, start: Path | None = None, quantise: Quantisation = "none"
) -> PeftModel:
    """The base, in bfloat16 unless quantised, with a new adapter on every projection, or the one at `start` going on.

    Raises BundleError when `start` is of another base, StageError when it has another rank.
    """
    base = load_base(model_folder, quantise)
    if start is None:
        settings = LoraConfig(
            r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=list(PROJECTIONS), task_type="CAUSAL_LM"
        )
        model = get_peft_model(base, settings)
    else:
        found = check_adapter(start, base_facts(model_folder))["r"]
        if found != rank:
            raise StageError(f'adapter "{start}" has rank "{found}", the stage {rank}: give the stage rank {found}')
        model = PeftModel.from_pretrained(base, start, is_trainable=True)
        # Each time it saves, PEFT looks the base's vocabulary up, by its id in a hub.
        model.peft_config["default"].base_model_name_or_path = str(model_folder)
    train_in_float32(model)
    keep_input_dtype(model)
    return model


def train_in_float32(model: torch.nn.Module) -> None:
    """Small updates are lost in bfloat16."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def keep_input_dtype(model: torch.nn.Module) -> None:
    """Leave activations in bfloat16 on their way into float32 LoRA layers: autocast casts the small matrices instead.

    PEFT casts the large activations by default; measured 3 to 4 times slower on a CPU.
    """
    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.cast_input_dtype_enabled = False


def save_adapter(model: PeftModel, folder: Path, model_folder: Path) -> None:
    """PEFT files alone, in bfloat16, naming the base by its id; a frozen copy for reference is not saved."""
    model.save_pretrained(str(folder), selected_adapters=["default"])
    finish_adapter(folder, model_folder)


def copy_adapter(source: Path, folder: Path, model_folder: Path) -> None:
    """The adapter in a checkpoint or elsewhere as save_adapter would have written it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(source / name, folder / name)
    finish_adapter(folder, model_folder)


def finish_adapter(folder: Path, model_folder: Path) -> None:
    """Bring PEFT's files into the form that is kept."""
    save_in_bfloat16(folder)
    name_base(folder, base_facts(model_folder).id)


def save_in_bfloat16(adapter: Path) -> None:
    """Halve the adapter on disk; serving computes in bfloat16 anyway. Training state and model card are not kept."""
    path = adapter / "adapter_model.safetensors"
    save_file({name: tensor.to(torch.bfloat16).contiguous() for name, tensor in load_file(path).items()}, path)
    for extra in (p for p in adapter.iterdir() if not p.name.startswith("adapter_")):
        extra.unlink()


def name_base(adapter: Path, base: str) -> None:
    """State the base by its id instead of by a folder of this machine."""
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": base}, indent=2) + "\n")
