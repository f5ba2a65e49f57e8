"""Random PEFT adapters that change the model enough to be told apart: A as PEFT draws it, B normal with std 0.02."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
B_STD = 0.02


def make_adapter(model_folder: Path, adapter_folder: Path, *, rank: int, seed: int) -> Path:
    """Write one bf16 adapter on all seven projections, alpha four times the rank. Gives its folder back."""
    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.bfloat16)
    config = LoraConfig(r=rank, lora_alpha=4 * rank, target_modules=TARGETS, task_type="CAUSAL_LM")
    adapted = get_peft_model(base, config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=B_STD)
    adapted.to(torch.bfloat16).save_pretrained(adapter_folder)
    return adapter_folder
