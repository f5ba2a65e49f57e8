"""A query's vector in, one feature out: how far it lies on the specialist's side of a plane fitted on labelled queries.

What retrieval measures is how near a query is to the documents; a short question in a user's own words is near to none.
The plane asks on which side of other people's questions it lies (a linear probe; Alain and Bengio, 2016).
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from index.config import Settings

PROBE = "probe"


class Probe(Settings):
    """The plane: a weight for each dimension of the encoder's vectors."""

    model_config = ConfigDict(allow_inf_nan=False)

    weights: Annotated[tuple[float, ...], Field(min_length=1)]
    intercept: float

    def score(self, vector: Sequence[float] | np.ndarray) -> float:
        """The feature of one (D,) vector, as log odds."""
        return self.intercept + float(np.dot(self.weights, vector))
