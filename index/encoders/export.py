"""A sentence-transformers model in, the folder of index/encoders/quantised.py out.

    python -m index.encoders.export MODEL FOLDER

Runs as a child process of `starter.derived`, once for a model. Taken: one transformer whose rows are averaged or whose
first row is used, with or without normalisation. Everything else is refused with exit status 3 and the cure.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from index.encoders.quantised import quantise
from index.encoders.reference import TorchEncoder
from index.errors import EncoderError
from starter.derived import REFUSED

POOLINGS = ("mean", "cls")
EXAMPLE_TOKENS = 9
OPSET = 23  # the first with attention as one operator
# Short, long past every model's end, code, another script: what a query may be.
CHECKS = (
    "sort",
    "How do I join two data frames on several columns and keep the rows that match nothing?",
    "df.group_by('a').agg(pl.col('b').sum().alias('total')).sort('total', descending=True)",
    "Traceback (most recent call last): ValueError: could not convert string to float: 'abc'",
    "Wie lese ich eine CSV-Datei ein? Как прочитать файл CSV? 如何读取文件",
    "The lighthouse keeper counts ships, gulls and stars; then he writes their numbers into a book. " * 40,
)


class PerToken(torch.nn.Module):
    """A linear layer whose input has the same largest value in each token when it is quantised; the same function.

    One scale serves a whole text, and in BERT's feed-forward layers the first token is up to ten times larger than the
    others, which then lose three bits. Without this the starter's vectors are three times as far from torch's (one
    minus cosine: 0.0058 on average, 0.026 at worst), for a fifteenth of the time.
    """

    def __init__(self, linear: torch.nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        largest = rows.abs().amax(-1, keepdim=True).clamp(min=1e-6)
        scaled = torch.nn.functional.linear(rows / largest, self.weight) * largest
        return scaled if self.bias is None else scaled + self.bias


class Pooled(torch.nn.Module):
    """Token ids (1, n) to one row (1, D); without a mask, as one text has no padding."""

    def __init__(self, transformer: torch.nn.Module, pooling: str) -> None:
        super().__init__()
        self.transformer = transformer
        self.first = pooling == "cls"

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        rows = self.transformer(input_ids=input_ids).last_hidden_state
        return rows[:, 0] if self.first else rows.mean(1)


def parts(model: Any) -> tuple[torch.nn.Module, str]:
    """The transformer of a SentenceTransformer and its pooling; raises EncoderError on any other composition."""
    kinds = [type(part).__name__ for part in model]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Normalize"}:
        raise refusal("is made of", "+".join(kinds), "a transformer, its pooling and a normalisation")
    if model[1].pooling_mode not in POOLINGS:
        raise refusal("has the pooling", model[1].pooling_mode, " or ".join(POOLINGS))
    if model.default_prompt_name:
        raise refusal("puts a prompt before each text,", model.default_prompt_name, "one without")
    if model.truncate_dim:
        raise refusal("cuts its rows to the dimension", model.truncate_dim, "whole rows")
    return model[0].auto_model, model[1].pooling_mode


def refusal(what: str, value: object, taken: str) -> EncoderError:
    """Why a model is not taken, and the cure."""
    return EncoderError(f'the model {what} "{value}" and cannot be converted ({taken} can): use the backend "torch"')


def scale_tokens(transformer: torch.nn.Module) -> None:
    """Put PerToken around the feed-forward layers, which are those that are not square."""
    for owner in list(transformer.modules()):
        for name, layer in list(owner.named_children()):
            if isinstance(layer, torch.nn.Linear) and layer.in_features != layer.out_features:
                setattr(owner, name, PerToken(layer))


def export(source: Path, target: Path) -> None:
    """Write the folder; the check rows come from the model as it is."""
    encoder = TorchEncoder(source.name, source)
    transformer, pooling = parts(encoder.model)
    limit = int(encoder.model.max_seq_length)
    np.save(target / "check.npy", encoder.encode(CHECKS))
    (target / "check.json").write_text(json.dumps({"max_tokens": limit, "texts": CHECKS}, indent=1) + "\n")
    encoder.model.tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"))
    scale_tokens(transformer)
    example = torch.arange(EXAMPLE_TOKENS)[None]
    tokens = torch.export.Dim("tokens", min=2, max=limit)
    program = torch.onnx.export(
        Pooled(transformer.cpu().eval(), pooling), (example,), dynamo=True, opset_version=OPSET,
        input_names=["input_ids"], output_names=["row"], dynamic_shapes={"input_ids": {1: tokens}},
    )  # fmt: skip
    whole = target / "float.onnx"
    assert program is not None  # None is returned by the older exporter alone
    program.save(whole)
    quantise(whole, target / "model.onnx")
    whole.unlink()


if __name__ == "__main__":
    try:
        export(Path(sys.argv[1]), Path(sys.argv[2]))
    except EncoderError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED)
