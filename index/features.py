"""A query and its nearest documents in, the gate's features out.

Cosine alone misjudges near misses (a pandas question lies closer to a Polars index than many Polars questions), so
three features are lexical: how much of what the query says, weighted by rarity, its evidence says too, and whether the
query names the library, or only a rival of it.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from index.store import Hit, Index

WORD = re.compile(r"[A-Za-z][A-Za-z0-9]+")
NEIGHBOURS = 8
FEATURES = ("top", "mean", "margin", "coverage", "mentions", "elsewhere")


def words(text: str) -> set[str]:
    """Lower-cased words; identifiers are split at underscores and dots."""
    return {word.lower() for word in WORD.findall(text)}


class Vocabulary:
    """Inverse document frequencies of an index's words, the library's names, and the names of its rivals."""

    def __init__(self, index: Index, names: Sequence[str], rivals: Sequence[str] = ()) -> None:
        counts = Counter(word for document in index.documents for word in words(document.text))
        total = len(index.documents)
        self._idf = {word: math.log((1 + total) / (1 + count)) for word, count in counts.items()}
        self._unseen = math.log(1 + total)
        self._names = {name.lower() for name in names}
        self._rivals = {name.lower() for name in rivals}

    def weight(self, found: set[str]) -> float:
        """Sum of the inverse document frequencies; a word the index never holds weighs most."""
        return sum(self._idf.get(word, self._unseen) for word in found)

    def features(self, query: str, hits: Sequence[Hit]) -> Mapping[str, float]:
        """The features of one query by name, in the order of FEATURES.

        top: best cosine; mean: of the four best; margin: best minus last of NEIGHBOURS; coverage: share of the
        query's weighted words that the four best documents hold; mentions: 1 when the query names the library;
        elsewhere: 1 when it names a rival and not the library.
        """
        scores = [hit.score for hit in hits[:NEIGHBOURS]] or [0.0]
        asked = words(query)
        held = set().union(*(words(hit.document.text) for hit in hits[:4])) & asked
        return {
            "top": scores[0],
            "mean": sum(scores[:4]) / len(scores[:4]),
            "margin": scores[0] - scores[-1],
            "coverage": self.weight(held) / max(self.weight(asked), 1e-9),
            "mentions": float(bool(asked & self._names)),
            "elsewhere": float(bool(asked & self._rivals) and not asked & self._names),
        }
