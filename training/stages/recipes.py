"""The recipes by the name that `pointsman train` gives them, each with the class of its configs."""

from training.config import RawSftConfig, SftConfig
from training.grpo.config import GrpoConfig
from training.stages.config import VerifiedConfig

# Those that learn from rows, which are there before a step is made.
RowStage = RawSftConfig | SftConfig | VerifiedConfig
AnyStage = RowStage | GrpoConfig
ROW_RECIPES: dict[str, type[RowStage]] = {"raw_sft": RawSftConfig, "sft": SftConfig, "verified_sft": VerifiedConfig}
RECIPES: dict[str, type[AnyStage]] = {**ROW_RECIPES, "grpo": GrpoConfig}
