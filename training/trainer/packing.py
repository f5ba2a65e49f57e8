"""A model in; a refusal out when rows that share a pack would read each other.

TRL's "bfd" tells rows in a pack apart by positions that begin again at 0. Transformers makes of these a mask for its
own attention (masking_utils.find_packed_sequence_indices), so that no flash attention is needed; a model with a mask of
its own may not. Then the loss looks as usual and the adapter learns to lean on its neighbours.
"""

import torch

from training.errors import StageError

LENGTH = 8


def refuse_mixing(model: torch.nn.Module, vocabulary: int) -> None:
    """Raise StageError when what stands before a row in its pack changes what is said of the row."""
    generator = torch.Generator().manual_seed(0)
    one, other, row = torch.randint(0, vocabulary, (3, LENGTH), generator=generator)
    if not torch.equal(logits_of_second(model, one, row), logits_of_second(model, other, row)):
        kind = type(model).__name__
        raise StageError(
            f'packing "bfd" lets rows read each other in "{kind}", whose attention takes no notice of positions that '
            'begin again: give packing "none"'
        )


def logits_of_second(model: torch.nn.Module, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Logits (tokens, vocabulary) of the second of two rows in one pack."""
    device = next(model.parameters()).device
    ids = torch.cat([first, second])[None].to(device)
    positions = torch.cat([torch.arange(len(first)), torch.arange(len(second))])[None].to(device)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):  # as in training
        return model(input_ids=ids, position_ids=positions, use_cache=False).logits[0, len(first) :]
