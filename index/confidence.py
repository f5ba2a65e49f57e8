"""The log-probabilities of an answer's tokens in, features out by which its chance of being right is judged.

They are those of the tokens chosen, in nats and before temperature. `lowest` is what Fu et al. (2025, "Deep think with
confidence") call lowest group confidence: an answer fails at its weakest place, which a mean over all of it hides.

Not covered: what the answer says, and whether it was cut.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import log1p

WINDOW_TOKENS = 8
ANSWER_FEATURES = ("mean", "lowest", "length")


def answer_features(logprobs: Sequence[float]) -> Mapping[str, float]:
    """The features of one answer by name; there must be a token, and every number finite.

    mean: of all tokens; lowest: the lowest mean of WINDOW_TOKENS in a row, of all where there are fewer; length: log of
    1 + their count.
    """
    width = min(WINDOW_TOKENS, len(logprobs))
    sums = list(accumulate(logprobs, initial=0.0))
    return {
        "mean": sums[-1] / len(logprobs),
        "lowest": min(end - start for start, end in zip(sums, sums[width:], strict=False)) / width,
        "length": log1p(len(logprobs)),
    }
