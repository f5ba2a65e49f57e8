"""The recipes by the name that `pointsman train` gives them, each with the class of its configs."""

from training.config import RawSftConfig, SftConfig
from training.stages.config import VerifiedConfig

AnyStage = RawSftConfig | SftConfig | VerifiedConfig
RECIPES: dict[str, type[AnyStage]] = {
    "raw_sft": RawSftConfig,
    "sft": SftConfig,
    "verified_sft": VerifiedConfig,
}
