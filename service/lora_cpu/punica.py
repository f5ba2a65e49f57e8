"""vLLM's LoRA operators for CPU by groups of rows: Punica's SGMV (arXiv 2310.18547), as S-LoRA (2311.03285) uses it.

vLLM's own CPU operators index the weights with the slot of every row: they copy an adapter once per token, and row
index -1 (the base model) picks the last slot's adapter. Here groups are made once per step and base rows are in none.
Not covered: mixture-of-experts layers (vLLM refuses them on CPU) and `add_inputs=False` (used with CUDA streams only).
"""

from typing import Any

import torch
from vllm.logger import init_logger
from vllm.lora.layers import LoRAMapping
from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

from service.lora_cpu import kernel, linear
from service.lora_cpu.groups import Groups, group_rows
from service.lora_cpu.linear import Weights

# Given a vLLM name, because vLLM's logging setup shows only loggers below its own.
logger = init_logger("vllm.pointsman.lora_cpu")

NO_ROWS = group_rows(torch.empty(0, dtype=torch.int64).numpy())


class GroupedPunicaWrapper(PunicaWrapperCPU):
    """State of one step (groups of token rows, groups of sampled rows) and the operators that use it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tokens = self.sampled = NO_ROWS
        self._library = kernel.load()
        self._fused_limit = linear.fused_limit()
        self._plans: dict[int, linear.Plan | None] = {}
        found = kernel.status()
        if found["path"] == "fused":
            logger.info_once("LoRA on CPU: fused AVX512-BF16 kernel %s", found["library"])
        else:
            logger.warning_once("LoRA on CPU: grouped matrix products only, slower in decoding: %s", found["reason"])

    def update_metadata(
        self,
        mapping: LoRAMapping,
        lora_index_to_id: list[int | None],
        max_loras: int,
        vocab_size: int,
        **kwargs: Any,
    ) -> None:
        """Once per step whose rows differ from the last step's; `mapping` names the adapter of each row."""
        self._update_base_metadata(mapping, lora_index_to_id, max_loras, vocab_size)
        self.tokens = group_rows(self.token_lora_indices.numpy())
        self.sampled = group_rows(self.sampler_indices.numpy())

    def add_lora_linear(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: Weights,
        lora_b_stacked: Weights,
        scale: float,
        output_slices: tuple[int, ...],
        **kwargs: Any,
    ) -> None:
        """y (T, O) += scale * x (T, D) @ A.T @ B.T for each slice, adapter rows only."""
        groups = self.tokens
        if not groups:
            return
        _refuse_unequal_rows(groups, x)
        _refuse_overwriting(kwargs.get("add_inputs", True))
        library = self._library if len(groups.rows_N) <= self._fused_limit else None
        planned = self._plan(lora_a_stacked, lora_b_stacked, output_slices) if library else None
        if library and planned and linear.takes(planned, y, x):
            linear.add_fused(library, planned, groups, y, x, scale)
        else:
            linear.add_grouped(groups, y, x, lora_a_stacked, lora_b_stacked, output_slices, scale)

    def _plan(self, lora_a: Weights, lora_b: Weights, output_slices: tuple[int, ...]) -> linear.Plan | None:
        """Made at a layer's first call; the plan keeps the tuple alive, so its id stays its own."""
        key = id(lora_a)
        if key not in self._plans:
            self._plans[key] = linear.plan(lora_a, lora_b, output_slices)
        return self._plans[key]

    def add_shrink(
        self,
        y: tuple[torch.Tensor, ...] | torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: Weights,
        scale: float,
        **kwargs: Any,
    ) -> None:
        """y[i] (T, R) = scale * x (T, D) @ A[i].T for adapter rows; y comes zeroed. Tensor parallel layers only."""
        x_TD = x.view(-1, x.shape[-1])
        for span in self.tokens.spans:
            for buffer, a in zip(y, lora_a_stacked, strict=True):
                h_NR = linear.shrink(x_TD[span.rows_N], a[span.slot], scale)
                buffer.view(-1, buffer.shape[-1])[span.rows_N] = h_NR.to(buffer.dtype)

    def add_expand(
        self,
        y: torch.Tensor,
        x: tuple[torch.Tensor, ...] | torch.Tensor,
        lora_b_stacked: Weights,
        output_slices: tuple[int, ...],
        offset_start: int = 0,
        add_inputs: bool = True,
        **kwargs: Any,
    ) -> None:
        """y (T, O) += x[i] (T, R) @ B[i].T at each slice's columns, adapter rows only. Tensor parallel layers only."""
        _refuse_overwriting(add_inputs)
        y_TO = y.view(-1, y.shape[-1])
        for span in self.tokens.spans:
            offset = offset_start
            for buffer, b, n_out in zip(x, lora_b_stacked, output_slices, strict=True):
                h_NR = buffer.view(-1, buffer.shape[-1])[span.rows_N]
                linear.expand(h_NR, b[span.slot], y_TO, span.rows_N, offset, n_out)
                offset += n_out

    def add_lora_embedding(
        self, y: torch.Tensor, x: torch.Tensor, lora_b_stacked: torch.Tensor, add_inputs: bool = True, **kwargs: Any
    ) -> None:
        """y (T, D) += x (T, R) @ B.T, where x is A's rows of the tokens (vLLM gathers them)."""
        _refuse_overwriting(add_inputs)
        for span in self.tokens.spans:
            linear.expand(x[span.rows_N], lora_b_stacked[span.slot], y, span.rows_N, 0, y.shape[1])

    def add_lora_logits(
        self,
        y: torch.Tensor,
        x: torch.Tensor,
        lora_a_stacked: torch.Tensor,
        lora_b_stacked: torch.Tensor,
        scale: float,
        **kwargs: Any,
    ) -> None:
        """y (S, V) += scale * x (S, D) @ A.T @ B.T for the sampled rows of adapters."""
        y_SV, x_SD = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
        groups = self.sampled
        if groups.n_tokens != len(x_SD):
            groups = self._groups_of_prompt(len(x_SD), lora_b_stacked)
        vocabulary = lora_b_stacked.shape[-2]
        linear.add_grouped(groups, y_SV, x_SD, (lora_a_stacked,), (lora_b_stacked,), (vocabulary,), scale)

    def _groups_of_prompt(self, n_rows: int, lora_b: torch.Tensor) -> Groups:
        """vLLM computes prompt_logprobs apart from sampling and does not say which adapter those rows belong to."""
        slots = set(self.sampler_indices.tolist())
        if all(slot < 0 or not lora_b[slot].any() for slot in slots):
            return NO_ROWS
        if len(slots) == 1:
            return group_rows(torch.full((n_rows,), slots.pop()).numpy())
        raise NotImplementedError(
            f"prompt_logprobs of {n_rows} rows in a batch of several adapters, one with lm_head weights: their rows "
            "cannot be told apart; leave lm_head out of the adapter or of --lora-target-modules"
        )


def _refuse_unequal_rows(groups: Groups, x_TD: torch.Tensor) -> None:
    if groups.n_tokens != len(x_TD):
        raise RuntimeError(f"the batch has {len(x_TD)} rows, its LoRA mapping {groups.n_tokens}; please report this")


def _refuse_overwriting(add_inputs: bool) -> None:
    if not add_inputs:
        raise NotImplementedError("add_inputs=False is not covered on CPU; unset VLLM_LORA_ENABLE_DUAL_STREAM")
