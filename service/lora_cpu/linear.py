"""y[rows] += scale * (x[rows] @ A[slot].T) @ B[slot].T for the adapter rows of one linear, in place.

Two implementations of one operation, Punica's SGMV (arXiv 2310.18547):
  fused    one call of kernel.cpp for all slices; needs bf16 and a loaded kernel
  grouped  matrix products on the rows of each adapter; any float type, no compiler
Without AMX the fused path is the faster one at every size measured (1 to 1000 rows); see FUSED_ROWS_WITH_AMX.
Shapes: x (T, D), y (T, >= offset + sum of output slices), A per slice (slots, 1, R, D), B per slice (slots, 1, O, R).
"""

import ctypes
import sys
from dataclasses import dataclass, field

import torch

from service.lora_cpu import kernel
from service.lora_cpu.groups import Groups

Weights = tuple[torch.Tensor, ...]

# Matrix products of large groups run on AMX where there is one, which the kernel's dot products do not use.
FUSED_ROWS_WITH_AMX = 64


@dataclass(frozen=True)
class Plan:
    """What the kernel needs to know of one linear; holds the weight tensors, so its addresses stay valid."""

    weights: tuple[Weights, Weights]
    layer: kernel.Layer = field(repr=False)
    slices: object = field(repr=False)
    address: int
    n_in: int
    n_out: int  # of all slices together


def plan(lora_a: Weights, lora_b: Weights, output_slices: tuple[int, ...]) -> Plan | None:
    """The kernel's description of a linear, or None where the kernel cannot take it."""
    tensors = (*lora_a, *lora_b)
    rank, n_in = lora_a[0].shape[-2:]
    if rank % kernel.RANK_TILE or rank > kernel.MAX_RANK:
        return None
    if not all(t.dtype == torch.bfloat16 and t.is_contiguous() for t in tensors):
        return None
    if not all(a.shape[-2:] == (rank, n_in) and b.shape[-1] == rank for a, b in zip(lora_a, lora_b, strict=True)):
        return None
    if any(b.shape[-2] != n_out for b, n_out in zip(lora_b, output_slices, strict=True)):
        return None
    slices = (kernel.Slice * len(lora_a))()
    offset = 0
    for part, a, b in zip(slices, lora_a, lora_b, strict=True):
        part.a, part.b, part.out_offset, part.n_out = a.data_ptr(), b.data_ptr(), offset, b.shape[-2]
        offset += b.shape[-2]
    layer = kernel.Layer(slices, len(lora_a), rank, n_in)
    return Plan((lora_a, lora_b), layer, slices, ctypes.addressof(layer), n_in, offset)


def add_fused(
    library: ctypes.PyDLL, planned: Plan, groups: Groups, y_TO: torch.Tensor, x_TD: torch.Tensor, scale: float
) -> None:
    """The fused path; the caller has checked `takes`, without which the kernel would read or write out of bounds."""
    library.pointsman_lora_add(
        planned.address, groups.address, x_TD.data_ptr(), x_TD.stride(0), y_TO.data_ptr(), y_TO.stride(0), scale
    )


def fused_limit() -> int:
    """Most adapter rows of a batch for which the fused path is the better one on this processor."""
    return FUSED_ROWS_WITH_AMX if torch.cpu._is_amx_tile_supported() else sys.maxsize


def takes(planned: Plan, y_TO: torch.Tensor, x_TD: torch.Tensor) -> bool:
    """True if the kernel can read x and write y: bf16, columns side by side, as many as the weights have."""
    if x_TD.dtype is not torch.bfloat16 or y_TO.dtype is not torch.bfloat16:
        return False
    if x_TD.stride(1) != 1 or y_TO.stride(1) != 1:
        return False
    return x_TD.shape[1] == planned.n_in and y_TO.shape[1] >= planned.n_out


def add_grouped(
    groups: Groups,
    y_TO: torch.Tensor,
    x_TD: torch.Tensor,
    lora_a: Weights,
    lora_b: Weights,
    output_slices: tuple[int, ...],
    scale: float,
) -> None:
    """The grouped path."""
    for span in groups.spans:
        x_ND = x_TD[span.rows_N]
        offset = 0
        for a, b, n_out in zip(lora_a, lora_b, output_slices, strict=True):
            h_NR = shrink(x_ND, a[span.slot], scale)
            expand(h_NR, b[span.slot], y_TO, span.rows_N, offset, n_out)
            offset += n_out


def shrink(x_ND: torch.Tensor, a: torch.Tensor, scale: float) -> torch.Tensor:
    """scale * x @ A.T in A's type; `a` is one slot, (1, R, D) or (R, D)."""
    h_NR = x_ND.to(a.dtype) @ a.view(a.shape[-2:]).T
    return h_NR if scale == 1.0 else h_NR * scale


def expand(
    h_NR: torch.Tensor, b: torch.Tensor, y_TO: torch.Tensor, rows_N: torch.Tensor | slice, offset: int, n_out: int
) -> None:
    """y[rows, offset:offset + n_out] += h @ B.T; B may have more rows than the base layer has outputs (padding)."""
    delta_NO = (h_NR.to(b.dtype) @ b.view(b.shape[-2:]).T)[:, :n_out].to(y_TO.dtype)
    columns = y_TO[:, offset : offset + delta_NO.shape[1]]
    if isinstance(rows_N, slice):
        columns[rows_N] += delta_NO
    else:
        columns.index_add_(0, rows_N, delta_NO)
