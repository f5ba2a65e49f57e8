"""A model folder in, the base in bfloat16 or in four bits out.

Four bits: NF4 with double quantisation, computed in bfloat16 (QLoRA, Dettmers et al., 2023, arXiv 2305.14314). The
adapter is served on the unquantised base, which is close to the one that it was trained on and not the same.
Measured on two cores with the starter: 197 tokens/s against 259, and no memory saved; it is for bases that do not fit.
"""

import importlib.util
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from training.config import Quantisation
from training.errors import StageError


def load_base(folder: Path, quantise: Quantisation) -> torch.nn.Module:
    """The model of a folder; raises StageError where it cannot be quantised here."""
    if quantise == "none":
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    if importlib.util.find_spec("bitsandbytes") is None:
        raise StageError(
            f'quantise "{quantise}" needs the package "bitsandbytes", which is not installed: '
            'pip install "bitsandbytes>=0.50", or give quantise "none"'
        )
    settings = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=quantise, bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, quantization_config=settings)
    except (ImportError, RuntimeError, NotImplementedError, ValueError) as error:
        raise StageError(
            f'quantise "{quantise}" is not supported on this device ({error}): install a bitsandbytes that supports '
            'it, or give quantise "none"'
        ) from error
    keep_layout(model)
    return model


def keep_layout(model: torch.nn.Module) -> None:
    """Forbid bitsandbytes to repack weights at the first forward without gradients.

    Measured with 0.50.2 on a CPU with AVX512-BF16: after one evaluation gradients were 0.052 in place of 3.077, and no
    error was raised.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
