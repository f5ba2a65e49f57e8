"""The operator against a plain float32 reference: the fused kernel and the grouped matrix products."""

import numpy as np
import pytest
import torch

from service.lora_cpu import kernel, linear
from service.lora_cpu.groups import group_rows

PATHS = [
    "grouped",
    pytest.param("fused", marks=pytest.mark.skipif(kernel.load() is None, reason="no fused kernel here")),
]
N_SLOTS = 3


def _weights(rank: int, n_in: int, output_slices: tuple[int, ...]) -> tuple[linear.Weights, linear.Weights]:
    a = tuple(torch.randn(N_SLOTS, 1, rank, n_in).bfloat16() / n_in**0.5 for _ in output_slices)
    b = tuple(torch.randn(N_SLOTS, 1, n_out, rank).bfloat16() / rank**0.5 for n_out in output_slices)
    return a, b


def _apply(
    path: str,
    slots: list[int],
    y: torch.Tensor,
    x: torch.Tensor,
    a: linear.Weights,
    b: linear.Weights,
    output_slices: tuple[int, ...],
) -> torch.Tensor:
    y = y.clone()
    _add(path, slots, y, x, a, b, output_slices, 1.0)
    return y


def _add(
    path: str,
    slots: list[int],
    y: torch.Tensor,
    x: torch.Tensor,
    a: linear.Weights,
    b: linear.Weights,
    output_slices: tuple[int, ...],
    scale: float,
) -> None:
    groups = group_rows(np.array(slots, dtype=np.int64))
    if path == "grouped":
        linear.add_grouped(groups, y, x, a, b, output_slices, scale)
        return
    library, planned = kernel.load(), linear.plan(a, b, output_slices)
    assert library
    assert planned
    assert linear.takes(planned, y, x)
    linear.add_fused(library, planned, groups, y, x, scale)


def _reference(
    slots: list[int], y: torch.Tensor, x: torch.Tensor, a: linear.Weights, b: linear.Weights, scale: float = 1.0
) -> torch.Tensor:
    rows = []
    for slot, y_O, x_D in zip(slots, y.float(), x.float(), strict=True):
        deltas = [scale * bs[slot, 0].float() @ (as_[slot, 0].float() @ x_D) for as_, bs in zip(a, b, strict=True)]
        rows.append(y_O + torch.cat(deltas) if slot >= 0 else y_O)
    return torch.stack(rows)


def _assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    """bf16 has 8 bits of precision: y is rounded once (2^-9 of it) or twice, each of R terms of order 1 / sqrt(R) has h
    rounded (2^-9 of it): errors near 0.005, largest of a million near 5 standard deviations."""
    torch.testing.assert_close(got.float(), expected, rtol=2**-7, atol=2**-6)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("rank", [8, 16, 32, 64])
@pytest.mark.parametrize("output_slices", [(64,), (48, 7, 1), (4864, 128), (33,)])
@pytest.mark.parametrize("n_in", [32, 896, 577, 5])
def test_adds_each_rows_own_adapter(path: str, rank: int, output_slices: tuple[int, ...], n_in: int) -> None:
    """Random slots with base rows among them, any sizes, one to three slices: rows agree with float32."""
    torch.manual_seed(rank + n_in)
    slots = torch.randint(-1, N_SLOTS, (23,)).tolist()
    a, b = _weights(rank, n_in, output_slices)
    x, y = torch.randn(23, n_in).bfloat16(), torch.randn(23, sum(output_slices)).bfloat16()
    got = _apply(path, slots, y, x, a, b, output_slices)
    _assert_close(got, _reference(slots, y, x, a, b))
    base = torch.tensor(slots) < 0
    assert torch.equal(got[base], y[base])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "slots", [[0] * 333, [1] * 70 + [-1] * 9 + [0] * 130, [0, 1, 2, -1] * 50], ids=["one", "runs", "mixed"]
)
def test_large_groups_agree(path: str, slots: list[int]) -> None:
    """Prefill: hundreds of rows an adapter, side by side or not, more than one block of rows each."""
    torch.manual_seed(0)
    a, b = _weights(16, 320, (256, 40))
    x, y = torch.randn(len(slots), 320).bfloat16(), torch.randn(len(slots), 296).bfloat16()
    got = _apply(path, slots, y, x, a, b, (256, 40))
    _assert_close(got, _reference(slots, y, x, a, b))
    base = torch.tensor(slots) < 0
    assert torch.equal(got[base], y[base])


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("slots", [[], [-1], [-1] * 40])
def test_a_batch_without_adapters_is_untouched(path: str, slots: list[int]) -> None:
    """Base rows alone, and no rows at all, leave y bit for bit as it was."""
    a, b = _weights(8, 64, (64,))
    x, y = torch.randn(len(slots), 64).bfloat16(), torch.randn(len(slots), 64).bfloat16()
    assert torch.equal(_apply(path, slots, y, x, a, b, (64,)), y)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 63, 64, 65])
def test_every_number_of_rows(path: str, count: int) -> None:
    """Tiles of four rows and blocks of 64 have their remainders."""
    torch.manual_seed(count)
    a, b = _weights(16, 96, (80,))
    x, y = torch.randn(count, 96).bfloat16(), torch.randn(count, 80).bfloat16()
    _assert_close(_apply(path, [1] * count, y, x, a, b, (80,)), _reference([1] * count, y, x, a, b))


@pytest.mark.parametrize("path", PATHS)
def test_strided_rows_and_scale(path: str) -> None:
    """x and y may be columns of wider tensors; what lies beside them stays; scale multiplies the delta."""
    torch.manual_seed(0)
    a, b = _weights(8, 64, (32,))
    wide_x, wide_y = torch.randn(6, 100).bfloat16(), torch.randn(6, 50).bfloat16()
    before, slots = wide_y.clone(), [0, -1, 2, 2, 1, 0]
    x, y = wide_x[:, 10:74], wide_y[:, 9:41]
    expected = _reference(slots, y, x, a, b, scale=0.5)
    _add(path, slots, y, x, a, b, (32,), 0.5)
    _assert_close(y, expected)
    assert torch.equal(wide_y[:, :9], before[:, :9]) and torch.equal(wide_y[:, 41:], before[:, 41:])


@pytest.mark.parametrize("path", PATHS)
def test_new_weights_in_a_slot_are_seen(path: str) -> None:
    """The engine overwrites slots in place; nothing of the old adapter may be kept."""
    torch.manual_seed(0)
    a, b = _weights(16, 64, (64,))
    x, y = torch.randn(2, 64).bfloat16(), torch.zeros(2, 64).bfloat16()
    assert _apply(path, [1, 1], y, x, a, b, (64,)).any()
    b[0][1] = 0
    assert not _apply(path, [1, 1], y, x, a, b, (64,)).any()


def test_the_kernel_declines_rows_it_would_read_past() -> None:
    """Narrower x or y, other types and strided columns go to the grouped path, which raises or serves."""
    a, b = _weights(8, 64, (48, 16))
    planned = linear.plan(a, b, (48, 16))
    assert planned
    x, y = torch.zeros(2, 64).bfloat16(), torch.zeros(2, 64).bfloat16()
    assert linear.takes(planned, y, x)
    assert not linear.takes(planned, y, x[:, :32])
    assert not linear.takes(planned, y[:, :63], x)
    assert not linear.takes(planned, y.float(), x)
    assert not linear.takes(planned, y, torch.zeros(2, 128).bfloat16()[:, ::2])


@pytest.mark.parametrize("change", ["rank", "dtype", "layout", "padding"])
def test_the_kernel_declines_what_it_cannot_read(change: str) -> None:
    """Ranks off the tile, other types, transposed weights and padded outputs go to the grouped path."""
    a, b = _weights(1 if change == "rank" else 8, 64, (64,))
    if change == "dtype":
        a = (a[0].float(),)
    if change == "layout":
        a = (a[0].transpose(2, 3).contiguous().transpose(2, 3),)
    assert linear.plan(a, b, (60,) if change == "padding" else (64,)) is None


def test_the_grouped_path_serves_other_types_and_ranks() -> None:
    """float32 weights of rank 1, and B with more rows than the base layer has outputs."""
    torch.manual_seed(0)
    a, b = (torch.randn(N_SLOTS, 1, 1, 16),), (torch.randn(N_SLOTS, 1, 12, 1),)
    x, y = torch.randn(4, 16), torch.randn(4, 10)
    slots = [0, -1, 2, 0]
    got = _apply("grouped", slots, y, x, a, b, (10,))
    torch.testing.assert_close(got, _reference(slots, y, x, a, (b[0][:, :, :10],)))
