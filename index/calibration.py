"""calibration.json: from a query's features to a probability, the threshold it is held against, and what that promises.

Read by the service with every bundle, so nothing here fits anything (index/calibrate.py does).
"""

from collections.abc import Mapping
from math import exp
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from index.confidence import ANSWER_FEATURES
from index.config import Settings, explained
from index.errors import BundleError
from index.features import FEATURES
from index.probe import PROBE, Probe

# Of a query whose two answers were executed: only the specialist passes, only base does, both do, neither does. Of one
# without answers: it asks about the specialist's library, about something close to it, or about something else.
Outcome = Literal["rescue", "loss", "safe", "hard", "in", "near", "far"]
Event = Literal["out_of_domain", "near_miss", "loss"]
Route = Literal["base", "specialist"]
GATE_FEATURES = (*FEATURES, PROBE)
EVENTS: Mapping[Event, str] = {
    "out_of_domain": "a query about something else is sent to the specialist",
    "near_miss": "a query about something close to the specialist's library is sent to it",
    "loss": "a query that base answers rightly is sent to the specialist, who fails",
}


class Finite(Settings):
    """Root of what is stored: no number may be NaN or infinite."""

    model_config = ConfigDict(allow_inf_nan=False)


class Measured(Finite):
    """A rate or score with its 95 % interval and the number of rows behind it."""

    value: float
    low: float
    high: float
    rows: int


class Guarantee(Finite):
    """A bound on a bad event that holds whatever the features are worth, for queries like those it was chosen on."""

    event: Event
    means: str = Field(description="The event in words.")
    alpha: float = Field(gt=0, lt=1, description="At most this share of such queries, ...")
    delta: float = Field(gt=0, lt=1, description="... but for this chance that the calibration set misleads.")
    queries: int = Field(ge=1, description="Labelled queries of this kind that chose the threshold.")
    threshold: float = Field(gt=0, lt=1, description="The smallest one with this bound; the bundle's is the largest.")


class Logistic(Finite):
    """A logistic regression on standardised features; `computed` are those that there are."""

    computed: ClassVar[tuple[str, ...]]
    features: tuple[str, ...] = Field(min_length=1)
    mean: tuple[float, ...]
    scale: tuple[Annotated[float, Field(gt=0)], ...]
    coefficients: tuple[float, ...]
    intercept: float

    @model_validator(mode="after")
    def every_feature_is_computed_and_has_its_numbers(self) -> Self:
        """What does not fit would fail on every query, where the gate turns a failure into base."""
        for name in self.features:
            if name not in self.computed:
                raise ValueError(f'feature "{name}" is not computed: the features are {", ".join(self.computed)}')
        for key, values in (("mean", self.mean), ("scale", self.scale), ("coefficients", self.coefficients)):
            if len(values) != len(self.features):
                raise ValueError(f'key "{key}" holds "{len(values)}" numbers: give one to each of features')
        return self

    def probability(self, features: Mapping[str, float]) -> float:
        """The calibrated probability at these features."""
        return 1 / (1 + exp(-max(min(self.intercept + sum(self.parts(features).values()), 30.0), -30.0)))

    def parts(self, features: Mapping[str, float]) -> dict[str, float]:
        """What each feature adds to the log odds, beside the intercept."""
        rows = zip(self.features, self.mean, self.scale, self.coefficients, strict=True)
        return {name: c * (features[name] - mean) / scale for name, mean, scale, c in rows}


class AnswerCalibration(Logistic):
    """From the log-probabilities of one model's answer to the probability that it passes when executed."""

    computed: ClassVar = ANSWER_FEATURES
    right: int = Field(description="Labelled answers that passed (count).")
    wrong: int = Field(description="Labelled answers that did not (count).")
    metrics: dict[str, Measured] = Field(description="AUROC and ECE, measured on the third that was not fitted.")


class Calibration(Logistic):
    """What a bundle states about its probability."""

    computed: ClassVar = GATE_FEATURES
    probe: Probe | None = Field(default=None, description="What the feature of this name is computed with.")
    probability_of: str = Field(description="The event whose probability is stated, in words.")
    labels: str = Field(
        description='Where labels come from: "domain" (whose docs), "execution" (which answer passed), or both by name.'
    )
    threshold: float = Field(gt=0, lt=1)
    guarantees: tuple[Guarantee, ...] = ()
    set_hash: str = Field(description="SHA-256 of the labelled queries.")
    queries: dict[Outcome, int] = Field(description="Labelled queries by outcome.")
    metrics: dict[str, Measured] = Field(description="Measured on the third that chose nothing.")
    false_accept_by_source: dict[str, Measured] = Field(
        default={}, description="Share of each source of out-of-domain queries above the threshold, on the held third."
    )
    answers: dict[Route, AnswerCalibration] = Field(
        default={}, description="Of base's and the specialist's answers to such queries; empty where none was executed."
    )

    @model_validator(mode="after")
    def the_probe_is_there_where_its_feature_is(self) -> Self:
        """One without the other would fail on every query."""
        if (self.probe is None) == (PROBE in self.features):
            raise ValueError(f'feature "{PROBE}" and key "{PROBE}" belong together: calibrate the bundle again')
        return self

    def seen(self, features: Mapping[str, float], vector: np.ndarray | None) -> Mapping[str, float]:
        """The features of a query together with what its (D,) vector shows."""
        return features if self.probe is None or vector is None else {**features, PROBE: self.probe.score(vector)}


def read_calibration(path: Path) -> Calibration:
    """Read calibration.json; raises BundleError naming the file."""
    try:
        return Calibration.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else explained(error, Calibration)
        raise BundleError(f'calibration "{path}" cannot be read ({why}): calibrate the bundle again') from error
