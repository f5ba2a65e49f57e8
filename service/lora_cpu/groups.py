"""Which rows of this step's batch belong to which adapter slot; computed once per step, used by every linear.

Rows of the base model (slot -1) are in no group, so no operator can touch them. Not covered: anything about weights.
"""

import ctypes
from dataclasses import dataclass, field

import numpy as np
import torch

from service.lora_cpu.kernel import RowGroups


@dataclass(frozen=True)
class Span:
    """The rows of one adapter slot."""

    slot: int
    rows_N: torch.Tensor | slice  # int64 indices, or a slice where the rows lie side by side: then x needs no copy


@dataclass(frozen=True)
class Groups:
    """Adapter rows of a batch of `n_tokens` rows, those of one slot side by side and in batch order."""

    n_tokens: int
    rows_N: np.ndarray  # int64, adapter rows only
    bounds_G1: np.ndarray  # int64, group g is rows_N[bounds[g]:bounds[g + 1]]
    slots_G: np.ndarray  # int64, ascending
    spans: tuple[Span, ...]
    native: RowGroups = field(repr=False)  # the same for the kernel; its addresses live as long as the arrays above
    address: int

    def __bool__(self) -> bool:
        return bool(self.spans)


def group_rows(slots_T: np.ndarray) -> Groups:
    """Groups of a batch whose row t uses adapter slot slots_T[t] (int64; -1 is the base model)."""
    adapter_N = np.flatnonzero(slots_T >= 0)
    rows_N = np.ascontiguousarray(adapter_N[np.argsort(slots_T[adapter_N], kind="stable")], dtype=np.int64)
    slots_G, starts_G = np.unique(slots_T[rows_N], return_index=True)
    slots_G = np.ascontiguousarray(slots_G, dtype=np.int64)
    bounds_G1 = np.append(starts_G, len(rows_N)).astype(np.int64)
    spans = tuple(
        Span(int(slot), _index(rows_N[begin:end]))
        for slot, begin, end in zip(slots_G, bounds_G1[:-1], bounds_G1[1:], strict=True)
    )
    native = RowGroups(rows_N.ctypes.data, bounds_G1.ctypes.data, slots_G.ctypes.data, len(slots_G), len(rows_N))
    return Groups(len(slots_T), rows_N, bounds_G1, slots_G, spans, native, ctypes.addressof(native))


def _index(rows_N: np.ndarray) -> torch.Tensor | slice:
    first, last = int(rows_N[0]), int(rows_N[-1])
    if last - first + 1 == len(rows_N):
        return slice(first, last + 1)
    return torch.from_numpy(rows_N)
