"""The wrapper as vLLM calls it, and vLLM's own beside it: what it replaces and why."""

import multiprocessing
import os
import warnings
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

with warnings.catch_warnings():
    # Importing vllm imports torch modules that warn of their own decorators; warnings are errors here.
    warnings.simplefilter("ignore")
    pytest.importorskip("vllm")

    from vllm.lora.layers.utils import LoRAMapping
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU
    from vllm.platforms import current_platform

    from service.lora_cpu import ENGINE_NICE, WRAPPER, kernel_status, register
    from service.lora_cpu.punica import GroupedPunicaWrapper

SLOT_IDS = [7, 9, None]  # adapter 7 in slot 0, adapter 9 in slot 1


def _wrapper(cls: type[PunicaWrapperCPU], ids: list[int], sampled: list[int] | None = None) -> PunicaWrapperCPU:
    wrapper = cls(max_num_batched_tokens=64, max_batches=16, device="cpu")
    mapping = LoRAMapping(tuple(ids), tuple(ids if sampled is None else sampled), is_prefill=True)
    wrapper.update_metadata(mapping, SLOT_IDS, len(SLOT_IDS) + 1, 1000)
    return wrapper


def _weights(n_in: int, n_out: int, rank: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 1, rank, n_in).bfloat16() / n_in**0.5, torch.randn(3, 1, n_out, rank).bfloat16()


def _delta(a: torch.Tensor, b: torch.Tensor, slot: int, x: torch.Tensor) -> torch.Tensor:
    return x.float() @ a[slot, 0].float().T @ b[slot, 0].float().T


def _assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(got.float(), expected.float(), rtol=2**-6, atol=2**-5)


@pytest.mark.parametrize("cls", [GroupedPunicaWrapper, PunicaWrapperCPU])
def test_linear_rows_of_adapters(cls: type[PunicaWrapperCPU]) -> None:
    """Where every row has an adapter, ours and vLLM's own agree with the plain product."""
    a, b = _weights(64, 48)
    x, y = torch.randn(3, 64).bfloat16(), torch.randn(3, 48).bfloat16()
    expected = y + torch.stack([_delta(a, b, slot, row) for slot, row in zip((1, 0, 1), x, strict=True)])
    _wrapper(cls, [9, 7, 9]).add_lora_linear(y, x, (a,), (b,), 1.0, (48,))
    _assert_close(y, expected)


def test_base_rows_stay_bit_for_bit() -> None:
    """A base row between adapter rows, and a batch of base rows only."""
    a, b = _weights(64, 48)
    x, y = torch.randn(3, 64).bfloat16(), torch.randn(3, 48).bfloat16()
    before = y.clone()
    _wrapper(GroupedPunicaWrapper, [9, 0, 7]).add_lora_linear(y, x, (a,), (b,), 1.0, (48,))
    assert torch.equal(y[1], before[1]) and not torch.equal(y[0], before[0])
    y = before.clone()
    _wrapper(GroupedPunicaWrapper, [0, 0, 0]).add_lora_linear(y, x, (a,), (b,), 1.0, (48,))
    assert torch.equal(y, before)


def test_stock_gives_base_rows_the_last_slot() -> None:
    """The fault that this package exists for; when a newer vLLM turns this red, think about retiring the package."""
    a, b = _weights(64, 48)
    x, y = torch.randn(3, 64).bfloat16(), torch.zeros(3, 48).bfloat16()
    _wrapper(PunicaWrapperCPU, [9, 0, 7]).add_lora_linear(y, x, (a,), (b,), 1.0, (48,))
    _assert_close(y[1], _delta(a, b, -1, x[1]))


def test_embedding_rows() -> None:
    """vLLM gathers A's rows by token; the expansion must leave base rows alone."""
    _, b = _weights(64, 32)
    x, y = torch.randn(4, 8).bfloat16(), torch.randn(4, 32).bfloat16()
    expected = y.float()
    for row, slot in ((0, 0), (2, 1), (3, 0)):
        expected[row] += x[row].float() @ b[slot, 0].float().T
    before = y.clone()
    _wrapper(GroupedPunicaWrapper, [7, 0, 9, 7]).add_lora_embedding(y, x, b, add_input=True)
    _assert_close(y, expected)
    assert torch.equal(y[1], before[1])


def test_logits_use_the_sampled_rows() -> None:
    """lm_head: five token rows, two sampled rows with adapters of their own."""
    a, b = _weights(64, 100)
    x, y = torch.randn(2, 64).bfloat16(), torch.zeros(2, 100).bfloat16()
    _wrapper(GroupedPunicaWrapper, [7, 7, 7, 0, 0], sampled=[7, 0]).add_lora_logits(y, x, a, b, 1.0)
    _assert_close(y[0], _delta(a, b, 0, x[0]))
    assert not y[1].any()


def test_logits_of_a_prompt() -> None:
    """Rows for prompt_logprobs are not mapped: clear where one adapter or none is concerned, else refused."""
    a, b = _weights(64, 100)
    x = torch.randn(5, 64).bfloat16()
    y = torch.zeros(5, 100).bfloat16()
    _wrapper(GroupedPunicaWrapper, [7, 7]).add_lora_logits(y, x, a, b, 1.0)
    _assert_close(y, _delta(a, b, 0, x))
    with pytest.raises(NotImplementedError, match="lora-target-modules"):
        _wrapper(GroupedPunicaWrapper, [7, 9]).add_lora_logits(y, x, a, b, 1.0)
    y.zero_()
    _wrapper(GroupedPunicaWrapper, [7, 9]).add_lora_logits(y, x, a, torch.zeros_like(b), 1.0)
    assert not y.any()


def test_shrink_and_expand_in_two_steps() -> None:
    """The tensor-parallel layers exchange the shrunk rows between the two."""
    a, b = _weights(64, 48)
    x, y, h = torch.randn(3, 64).bfloat16(), torch.zeros(3, 60).bfloat16(), torch.zeros(1, 3, 8)
    wrapper = _wrapper(GroupedPunicaWrapper, [9, 0, 7])
    wrapper.add_shrink(h, x, (a,), 1.0)
    wrapper.add_expand(y, h, (b,), (48,), offset_start=12)
    _assert_close(y[0, 12:], _delta(a, b, 1, x[0]))
    assert not y[1].any() and not y[:, :12].any()


def test_rows_without_a_mapping_are_refused() -> None:
    """Reading past the mapping would apply some adapter to some row in silence."""
    a, b = _weights(64, 48)
    with pytest.raises(RuntimeError, match="4 rows"):
        _wrapper(GroupedPunicaWrapper, [7, 7]).add_lora_linear(
            torch.zeros(4, 48), torch.zeros(4, 64), (a,), (b,), 1.0, (48,)
        )


@pytest.mark.skipif(not current_platform.is_cpu(), reason="the plugin is for CPU")
def test_register_twice_names_our_wrapper() -> None:
    """vLLM calls register() in every process, some of them more than once."""
    if os.environ.get("POINTSMAN_LORA_CPU") == "stock":
        pytest.skip("switched off in this environment")
    register()
    register()
    assert current_platform.get_punica_wrapper() == WRAPPER
    assert f"{GroupedPunicaWrapper.__module__}.{GroupedPunicaWrapper.__name__}" == WRAPPER
    assert kernel_status()["path"] in {"fused", "grouped"}


def priority_after_registering() -> int:
    """Run in a process of its own, as vLLM's engine is."""
    register()
    register()
    return os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.skipif(not current_platform.is_cpu(), reason="the plugin is for CPU")
def test_an_engine_in_its_own_process_yields_to_the_gate() -> None:
    """Once, however often vLLM registers; a process that is nobody's child keeps its priority."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(priority_after_registering).result(120) == max(before, ENGINE_NICE)
    register()
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
