"""TRL's GRPO classes, imported as if vLLM were not installed.

TRL 1.16 imports the whole of vLLM with them where it finds it: before machine.environment.prepare() could set what vLLM
reads once, and with a warning at versions above 0.31. We hand it rollouts of our own, so it needs none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(name: str) -> Iterator[None]:
    """Let importers find no such package: None in sys.modules is how Python says that it cannot be imported."""
    loaded = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # documented (the import system, 5.3.1), not in typeshed
    try:
        yield
    finally:
        if loaded is None:
            del sys.modules[name]
        else:
            sys.modules[name] = loaded


with hidden("vllm"):
    from trl import GRPOConfig, GRPOTrainer

__all__ = ["GRPOConfig", "GRPOTrainer"]
