"""The one package that imports trl and peft: models with adapters, and what trains them."""

import os

# trl reports each trainer that is made unless this stands in the environment before huggingface_hub is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
