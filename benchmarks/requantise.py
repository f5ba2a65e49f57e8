"""Copies of a model whose weights are rounded once more, to see what such a rounding costs a score.

    .venv/bin/python -m benchmarks.requantise

The starter's weights come from a 4-bit file, and the originals are in no package. What that rounding cost cannot be
measured here; what one more of the same kind costs can: configs/training/evaluate-anchors.yaml asks the copies what it
asks the starter. Written below runs/models/, each a model folder:

    q8_0     every projection to 8 bits: a rounding too small to matter, which shows what small changes do
    q4_1     every projection to 4 bits, a scale and an offset for 32 weights, as near to Q4_K as this library writes
    embed5   the input embeddings to 5 bits, apart from the output's, as the GGUF file itself has them
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file, save_file

from starter import resolve_model

EMBEDDINGS, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def rounded(weight: torch.Tensor, kind: GGMLQuantizationType) -> torch.Tensor:
    """A weight matrix as it is after a round trip through a GGUF type."""
    values = weight.float().numpy()
    back = dequantize(quantize(values, kind), kind).reshape(values.shape)
    return torch.from_numpy(np.ascontiguousarray(back)).to(weight.dtype)


def round_projections(weights: dict[str, torch.Tensor], kind: GGMLQuantizationType) -> None:
    """Every linear projection of every layer, in place."""
    for name, weight in weights.items():
        if name.endswith("_proj.weight"):
            weights[name] = rounded(weight, kind)


def round_embeddings(weights: dict[str, torch.Tensor], kind: GGMLQuantizationType) -> None:
    """The input embeddings alone; the output keeps what both were."""
    weights[HEAD] = weights[EMBEDDINGS].clone()
    weights[EMBEDDINGS] = rounded(weights[EMBEDDINGS], kind)


VARIANTS = {
    "q8_0": (round_projections, GGMLQuantizationType.Q8_0),
    "q4_1": (round_projections, GGMLQuantizationType.Q4_1),
    "embed5": (round_embeddings, GGMLQuantizationType.Q5_0),
}


def write_variant(source: Path, name: str, folder: Path) -> float:
    """Write one copy; the root mean square of the change over that of the weights changed."""
    change, kind = VARIANTS[name]
    weights = load_file(source / "model.safetensors")
    before = dict(weights)
    change(weights, kind)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config["tie_word_embeddings"] = HEAD not in weights
    config["_name_or_path"] = f"{config.get('_name_or_path', source.name)}-{name}"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    changed = [key for key in before if not torch.equal(before[key], weights[key])]
    error, size = (
        sum(float((value.float() ** 2).sum()) for value in values)
        for values in ((weights[k].float() - before[k].float() for k in changed), (before[k] for k in changed))
    )
    return float((error / size) ** 0.5) if size else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="starter")
    parser.add_argument("--out", type=Path, default=Path("runs/models"))
    given = parser.parse_args()
    for name in VARIANTS:
        folder = given.out / f"{given.model.rsplit('/', 1)[-1]}-{name}"
        error = write_variant(resolve_model(given.model), name, folder)
        print(f"{folder}: weights changed by {error:.2%} (root mean square)")


if __name__ == "__main__":
    main()
