"""Log-probabilities of the answers to one prompt, with the prompt computed once: half the work and more of a GRPO step.

A group's answers begin with the same prompt, and a prompt with evidence is twenty times as long as its answer. Computed
once and attended to by every answer it gives the same outputs and gradients, as each position reads only earlier ones
(Prefix Grouper, Liu et al. 2025, arXiv 2506.05433, section 3). It also projects the answers' positions alone onto the
vocabulary; TRL 1.16 projects every position where Triton is not.

Not covered: models with other than full causal attention, whose caches forget; they keep TRL's own way.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import DynamicCache, PreTrainedModel
from transformers.utils import ModelOutput

IGNORED = -100
# Of a pass; each group is computed a second time in the backward pass beyond it, at a third more time, so that the
# activations of one group are held at once. 0.5B parameters need about 2 MB a token.
TOKENS_HELD = 2048


@dataclass
class Scores(ModelOutput):
    """Of each token after the first, shape (rows, length - 1): its log-probability, and the entropy before it, nats."""

    log_probs: torch.Tensor | None = None
    entropy: torch.Tensor | None = None


@dataclass(frozen=True)
class SharedPrompt:
    """Some rows of a pass: their prompt (length,), and their answers (rows, longest), padded where `labels` ignore."""

    rows: torch.Tensor
    prompt: torch.Tensor
    answers: torch.Tensor
    labels: torch.Tensor


def share_prompts(model: PreTrainedModel, temperature: float) -> bool:
    """Make a causal LM compute each prompt once where TRL asks for scores, which it does by `fused_lm_head`.

    Returns whether the model's attention allows it.
    """
    config = model.config.get_text_config()
    if set(getattr(config, "layer_types", None) or {"full_attention"}) != {"full_attention"}:
        return False
    forward = model.forward

    @wraps(type(model).forward)  # generate() looks at its parameters
    def scoring(*args: Any, fused_lm_head: bool = False, **given: Any) -> Any:
        if not fused_lm_head:
            return forward(*args, **given)
        ids, mask, labels = (given[name] for name in ("input_ids", "attention_mask", "labels"))
        return completion_scores(forward, model.config, temperature, ids, mask, labels)

    model.forward = scoring
    return True


def completion_scores(
    forward: Callable[..., Any], config: Any, temperature: float, ids: torch.Tensor, mask: torch.Tensor,
    labels: torch.Tensor,
) -> Scores:  # fmt: skip
    """Scores of rows of shape (rows, length), padded left of the prompt and right of the answer; 0 where ignored."""
    groups = list(shared(ids, mask, labels))
    size = sum(len(group.prompt) + group.answers.numel() for group in groups)
    entropy = torch.zeros(ids.shape[0], ids.shape[1] - 1, device=ids.device)
    log_probs = torch.zeros_like(entropy, requires_grad=not groups)  # so that a pass without answers has its backward
    for group in groups:
        score = partial(group_scores, forward, config, temperature)
        if size > TOKENS_HELD and torch.is_grad_enabled():
            score = partial(checkpoint, score, use_reentrant=False)
        found, uncertainty = score(group)
        where = labels[group.rows, 1:] != IGNORED
        kept = group.labels != IGNORED
        rows, columns = where.nonzero(as_tuple=True)
        log_probs = log_probs.index_put((group.rows[rows], columns), found[kept])
        entropy = entropy.index_put((group.rows[rows], columns), uncertainty[kept])
    return Scores(log_probs=log_probs, entropy=entropy)


def shared(ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> Iterator[SharedPrompt]:
    """The rows that have an answer by their prompts; TRL shuffles the answers of a step."""
    answered = labels != IGNORED
    found: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for row in answered.any(1).nonzero().flatten().tolist():
        prompt = ids[row][mask[row].bool() & ~answered[row]]
        found[tuple(prompt.tolist())].append(row)
    for prompt, rows in found.items():
        answers = [ids[row][answered[row]] for row in rows]
        padded = torch.nn.utils.rnn.pad_sequence(answers, batch_first=True, padding_value=IGNORED)
        yield SharedPrompt(
            torch.tensor(rows, device=ids.device), torch.tensor(prompt, device=ids.device), padded.clamp(min=0), padded
        )


def group_scores(
    forward: Callable[..., Any], config: Any, temperature: float, group: SharedPrompt
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy, both (rows, longest), of the answers to one prompt."""
    rows, longest = group.answers.shape
    cache = DynamicCache(config=config)
    prompt = forward(input_ids=group.prompt[None], past_key_values=cache, use_cache=True, logits_to_keep=1)
    first = prompt.logits.expand(rows, -1, -1)
    logits = first
    if longest > 1:
        cache.batch_repeat_interleave(rows)
        # Padding stands on the right, where nothing that counts attends to it.
        rest = forward(input_ids=group.answers[:, :-1], past_key_values=cache, use_cache=True)
        logits = torch.cat([first, rest.logits], dim=1)
    logits = logits.float() / temperature
    log_probs = -functional.cross_entropy(
        logits.flatten(0, 1), group.labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view(rows, longest)
    with torch.no_grad():
        chances = logits.log_softmax(-1)
        entropy = -(chances.exp() * chances).sum(-1)
    return log_probs, entropy
