"""The model that is being trained as what answers: for machines without vLLM, and to compare with."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from training.generation import Sampled, Text, Wanted
from training.grpo.logprobs import autocast, completion_logprobs, left_padded


class TransformersSampler:
    """Generates in batches of `rows`; a batch is seeded by its first request.

    Its log-probabilities come from one more forward pass: kept while generating, those of the whole vocabulary would
    fill gigabytes.
    """

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, ends: Sequence[int], rows: int = 16) -> None:
        self._model, self._pad, self._ends, self._rows = model, tokenizer.pad_token_id, list(ends), rows

    def deliver(self, folder: Path) -> None:
        """Nothing to do: it answers with the weights themselves."""

    def sample(self, wanted: Sequence[Wanted]) -> Iterator[Sampled]:
        """Batch by batch; requests of one call share temperature and length."""
        for first in range(0, len(wanted), self._rows):
            batch = wanted[first : first + self._rows]
            drawn = [ended(tokens, self._ends) for tokens in self._generated(batch)]
            texts = [(one.prompt_ids, tokens) for one, tokens in zip(batch, drawn, strict=True)]
            logprobs = completion_logprobs(self._model, texts, self._pad, batch[0].temperature or 1.0)
            for one, tokens, values in zip(batch, drawn, logprobs, strict=True):
                yield Sampled(one.key, tokens, values, "stop" if tokens[-1] in self._ends else "length")

    def _generated(self, batch: Sequence[Wanted]) -> list[list[int]]:
        """The tokens after each prompt, with what fills the row up behind its end."""
        ids, mask = left_padded([one.prompt_ids for one in batch], self._pad, self._model.device)
        one = batch[0]
        chance = {"do_sample": True, "temperature": one.temperature, "top_k": 0, "top_p": 1.0}
        training = self._model.training
        self._model.eval()
        try:
            with torch.random.fork_rng(), torch.no_grad(), autocast(self._model):
                torch.manual_seed(one.seed or 0)
                found = self._model.generate(
                    input_ids=ids, attention_mask=mask, max_new_tokens=one.max_tokens, pad_token_id=self._pad,
                    eos_token_id=self._ends, **(chance if one.temperature else {"do_sample": False}),
                )  # fmt: skip
        finally:
            self._model.train(training)
        tokens: list[list[int]] = found[:, ids.shape[1] :].tolist()
        return tokens

    def score(self, texts: Sequence[Text]) -> list[list[float]]:
        """By one forward pass."""
        return completion_logprobs(self._model, texts, self._pad)

    def close(self) -> None:
        """The model is not its own."""


def ended(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """Tokens up to the first end token, that one included."""
    place = next((n for n, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tokens[: place + 1]
