"""Settings of where tasks come from: a package, its examples, and how they are tried."""

from typing import Literal

from pydantic import Field

from index.config import Settings, Share
from index.sources.config import AnySource

SecondInput = Literal["frames", "literals"]


class TaskSettings(Settings):
    """Where tasks come from."""

    package: str = Field(description="Installed package whose docstrings hold the doctests.")
    preamble: str = Field(description="Statements that stand before every example, such as the package's import.")
    max_per_object: int = Field(default=3, ge=1, description="Training tasks taken from one docstring; held-out: one.")
    held_out_share: Share = Field(default=0.2, description="Share of method names kept out of training and index.")
    display: str = Field(default="", description="How a usable expected output starts; empty takes every output.")
    environment: dict[str, str] = Field(default={}, description="Environment of every executed program.")
    preload: list[str] = Field(default=[], description="Packages that examples may import; by default the package.")
    second_input: SecondInput = Field(
        default="frames",
        exclude_if=lambda value: value == "frames",  # a run whose config.json lacks it is of the same configuration
        description='What an answer is tried on besides: "frames" changed at run time, else other "literals".',
    )
    docs: tuple[AnySource, ...] = Field(
        default=(), exclude_if=lambda value: not value, description="Sources of prose whose doctests give tasks too."
    )
