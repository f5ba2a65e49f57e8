"""One chat template in training, evaluation and serving; and rows that teach to stop.

Rows rendered by another template than the one that asks later are the commonest cause of a model that trained well and
answers badly. Of rows that do not end with the end of a turn a model learns to go on.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from training.errors import StageError
from training.rows import Row

ENDING_SHARE = 0.95


def hash_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of the template that a tokenizer renders by, as index.adapter.template_hash takes it of a folder."""
    return hashlib.sha256(str(tokenizer.chat_template or "").encode()).hexdigest()


def same_template(hashes: Mapping[str, str]) -> dict[str, Any]:
    """The one hash of all places, such as "training" and "serving"; raises StageError naming two that differ."""
    (first, wanted), *others = hashes.items()
    for place, found in others:
        if found != wanted:
            raise StageError(
                f'the chat template in {first} is "{wanted[:12]}", in {place} "{found[:12]}": train from the model '
                "folder that is served, or pack the bundle again"
            )
    return {"template_hash": wanted, "places": list(hashes)}


def endings(rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Share of rows that end with the end of a turn, and of tokens that are learnt; raises StageError under 95 %."""
    ended = learnt = total = 0
    for row in rows:
        ids = rendered(tokenizer, [*row["prompt"], *row["completion"]])
        asked = rendered(tokenizer, row["prompt"], add_generation_prompt=True)
        ended += ends(ids, tokenizer)
        learnt += len(ids) - len(asked)
        total += len(ids)
    share = ended / len(rows)
    if share < ENDING_SHARE:
        raise StageError(
            f'"{100 * share:.1f}" % of {len(rows)} rows end with "{tokenizer.eos_token}", fewer than '
            f"{100 * ENDING_SHARE:g}: train from an instruction model whose template ends a turn with its "
            "end-of-sequence token"
        )
    return {"ending_share": round(share, 4), "learnt_token_share": round(learnt / total, 4), "tokens": total}


def rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], **options: bool) -> list[int]:
    """The tokens of a conversation under the template."""
    ids: list[int] = tokenizer.apply_chat_template(messages, return_dict=True, **options)["input_ids"]
    return ids


def ends(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the last token that is more than space ends a turn."""
    # Templates write a line feed after it.
    last = next((token for token in reversed(ids) if tokenizer.decode([token]).strip()), None)
    return last == tokenizer.eos_token_id
