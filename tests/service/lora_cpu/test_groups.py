"""Grouping a batch's rows by adapter slot."""

import numpy as np
import torch

from service.lora_cpu.groups import group_rows


def test_rows_of_a_slot_lie_side_by_side_in_batch_order() -> None:
    """Base rows (-1) are in no group; slots ascend."""
    groups = group_rows(np.array([2, -1, 0, 2, 0, -1]))
    assert groups.rows_N.tolist() == [2, 4, 0, 3]
    assert groups.bounds_G1.tolist() == [0, 2, 4] and groups.slots_G.tolist() == [0, 2]
    assert groups.n_tokens == 6


def test_neighbouring_rows_are_a_slice_and_need_no_copy() -> None:
    """A prefill is one run of rows: a view of x, not a gathered copy."""
    runs = group_rows(np.array([-1, 1, 1, 1, 0])).spans
    assert [(span.slot, span.rows_N) for span in runs] == [(0, slice(4, 5)), (1, slice(1, 4))]
    scattered = group_rows(np.array([1, -1, 1])).spans
    assert isinstance(scattered[0].rows_N, torch.Tensor)
    assert scattered[0].rows_N.tolist() == [0, 2]


def test_a_batch_of_base_rows_is_false() -> None:
    """So that an operator returns at once."""
    assert not group_rows(np.array([-1, -1])) and not group_rows(np.array([], dtype=np.int64))
    assert group_rows(np.array([-1, 0]))
