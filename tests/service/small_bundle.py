"""A complete bundle with a random adapter, for tests that start the whole service on the tiny model."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from index.bundle import base_facts, write_manifest
from index.documents import Document
from index.embed import Encoder
from index.store import make_index
from tests.service.small_service import CALIBRATION

RANK = 8


def write_bundle(folder: Path, texts: Sequence[str], *, model: Path, encoder: Encoder, seed: int) -> Path:
    """Write a specialist that knows these texts; its probability is 0.5 at a cosine of 0.5."""
    base = base_facts(model)
    write_adapter(folder / "adapter", model, seed)
    name = folder.name
    documents = [Document(f"{name}:{i}", text, "test==1", "MIT", "object", name) for i, text in enumerate(texts)]
    index = make_index(documents, encoder.encode(texts), encoder.id, fingerprint=encoder.fingerprint)
    index.save(folder / "index")
    (folder / "calibration.json").write_text(CALIBRATION.model_dump_json())
    write_manifest(
        folder,
        {
            "name": name,
            "base": base.id,
            "base_fingerprint": base.fingerprint,
            "template_hash": base.template_hash,
            "rank": RANK,
            "target_modules": ("q_proj", "v_proj"),
            "encoder": encoder.id,
            "dimension": encoder.dimension,
            "names": (name,),
            "context": False,
            "seed": seed,
            "data": {},
            "contamination": "random weights",
            "versions": {},
            "git_commit": "",
        },
    )
    return folder


def write_adapter(folder: Path, model: Path, seed: int) -> None:
    """A PEFT adapter large enough to change what the model says."""
    config = json.loads((model / "config.json").read_text())
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        for module, width in (("q_proj", heads * head), ("v_proj", config["num_key_value_heads"] * head)):
            path = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            tensors[f"{path}.lora_A.weight"] = torch.randn(RANK, hidden, generator=generator) / hidden**0.5
            tensors[f"{path}.lora_B.weight"] = torch.randn(width, RANK, generator=generator) * 0.05
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": ["q_proj", "v_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"task_type": "CAUSAL_LM", "bias": "none"}))
