"""All attacks on the sandbox."""

from tests.training.sandbox.containment import CONTAINMENT
from tests.training.sandbox.resources import RESOURCES
from tests.training.sandbox.rewards import REWARDS

ATTACKS = (*CONTAINMENT, *RESOURCES, *REWARDS)
