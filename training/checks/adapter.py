"""The adapter that a stage goes on from, and the one it makes: of this base, and of a rank that can be served."""

from pathlib import Path
from typing import Any

from index.adapter import BaseFacts, check_adapter
from machine.lora import LORA_RANKS
from training.errors import StageError


def check_rank(rank: int) -> dict[str, Any]:
    """The rank, and the size that an engine for it has; raises StageError where no engine has one."""
    if rank > LORA_RANKS[-1]:
        raise StageError(f'rank "{rank}" cannot be served: give at most {LORA_RANKS[-1]}')
    return {"rank": rank, "engine_rank": next(size for size in LORA_RANKS if size >= rank)}


def check_start(folder: Path, base: BaseFacts, rank: int) -> dict[str, Any]:
    """The start's rank; raises BundleError when it is of another base, StageError when of another rank."""
    found = int(check_adapter(folder, base)["r"])
    if found != rank:
        raise StageError(f'adapter "{folder}" has rank "{found}", the stage {rank}: give the stage rank {found}')
    return {"start": str(folder), "base": base.id, "rank": found}
