"""Wheels in, verified model folders out.

`resolve_model` and `resolve_encoder` turn a name in a config into a folder. The first call for "starter" or "tiny"
downloads, checks and converts (a minute); every later call only verifies. Nothing here loads torch into the caller.
"""

from starter.errors import StarterError
from starter.home import home
from starter.resolve import resolve_encoder, resolve_model

__all__ = ["StarterError", "home", "resolve_encoder", "resolve_model"]
