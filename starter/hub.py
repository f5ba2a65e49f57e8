"""Models that are not ours: a Hugging Face id becomes a local snapshot folder."""

from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from starter.errors import ModelError

OTHER_FORMATS = ["*.gguf", "*.onnx", "onnx/*", "openvino/*", "original/*", "*.h5", "*.msgpack", "*.ot", "*.tflite"]


def snapshot(model: str) -> Path:
    try:
        return Path(huggingface_hub.snapshot_download(model, ignore_patterns=OTHER_FORMATS))
    except HFValidationError as error:
        raise ModelError(
            f'the model "{model}" is neither a folder nor a Hugging Face id; give "starter", an id such as '
            '"Qwen/Qwen2.5-Coder-0.5B-Instruct", or the path of a model folder'
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f'the model "{model}" could not be fetched from Hugging Face: "{reason}"; check the id, the network and '
            'HF_TOKEN, or give a local folder, or "starter", which needs no hub'
        ) from error
