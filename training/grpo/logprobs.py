"""Texts in, the log-probability that a model gives each token after the prompt out; no gradient."""

from collections.abc import Sequence
from typing import Any

import torch

from training.generation import Text


def autocast(model: Any) -> Any:
    """As the trainer computes: matrices in bfloat16 beside float32 adapters."""
    return torch.autocast(model.device.type, torch.bfloat16)


def completion_logprobs(
    model: Any, texts: Sequence[Text], pad: int, temperature: float = 1.0, rows: int = 8
) -> list[list[float]]:
    """Log-probabilities in nats of the tokens of each text after its prompt, logits divided by `temperature`."""
    found: list[list[float]] = []
    for first in range(0, len(texts), rows):
        batch = texts[first : first + rows]
        ids_BT, mask_BT = left_padded([[*prompt, *tokens] for prompt, tokens in batch], pad, model.device)
        longest = max(len(tokens) for _, tokens in batch)
        with torch.no_grad(), autocast(model):
            logits_BCV = model(input_ids=ids_BT, attention_mask=mask_BT, logits_to_keep=longest + 1).logits
        logprobs_BCV = (logits_BCV[:, :-1].float() / temperature).log_softmax(-1)
        chosen_BC = logprobs_BCV.gather(-1, ids_BT[:, -longest:, None]).squeeze(-1)
        found += [row[-len(tokens) :].tolist() for row, (_, tokens) in zip(chosen_BC, batch, strict=True)]
    return found


def left_padded(rows: Sequence[list[int]], pad: int, device: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask (rows, longest), the texts flush right."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask
