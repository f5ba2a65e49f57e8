"""A config's encoder in, an encoder out: torch (the reference), quantised for a CPU, or static."""

from index.encoders.cached import CachedEncoder
from index.encoders.config import STARTER_ID, EncoderConfig
from index.encoders.encoder import Encoder
from index.encoders.quantised import quantised_encoder
from index.encoders.reference import TorchEncoder
from index.encoders.static import static_encoder
from starter import resolve_encoder

__all__ = ["STARTER_ID", "CachedEncoder", "Encoder", "EncoderConfig", "load_encoder"]


def load_encoder(config: EncoderConfig | str) -> Encoder:
    """Load what a config or an id names; the first call for a model and a backend may have to make it (a minute)."""
    config = EncoderConfig.model_validate(config)
    folder = resolve_encoder(config.model)
    if config.backend == "onnx-int8":
        return quantised_encoder(config, folder)
    if config.backend == "static":
        return static_encoder(config, folder)
    return TorchEncoder(config.id, folder, config.max_tokens)
