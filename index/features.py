"""A query and what the search found in, the gate's features out.

Cosine alone misjudges near misses (a pandas question lies closer to a Polars index than many Polars questions), so
others are lexical: how much of what the query says, weighted by rarity, its evidence says too, whether the identifiers
it uses exist in the library, and whether it names the library, or only a rival of it.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain

from index.store import Hit, Index
from index.words import identifiers, words

CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
NEIGHBOURS = 8
MOST_LEXICAL = 2.0  # labelled queries have less; beyond it one feature would decide alone
FEATURES = (
    "top", "mean", "margin", "agreement", "coverage", "lexical", "overlap", "known", "foreign", "mentions", "elsewhere",
    "length", "code",
)  # fmt: skip


class Vocabulary:
    """What an index knows of words and names: inverse document frequencies, its identifiers, the library's and its
    rivals' names.
    """

    def __init__(self, index: Index, names: Sequence[str], rivals: Sequence[str] = ()) -> None:
        counted, total = index.words, index.words.documents
        self._identifiers = counted.identifiers
        self._idf = {word: math.log((1 + total) / (1 + count)) for word, count in counted.words.items()}
        self._unseen = math.log(1 + total)
        self._names = {name.lower() for name in names}
        self._rivals = {name.lower() for name in rivals}

    def weight(self, found: set[str]) -> float:
        """Sum of the inverse document frequencies; a word the index never holds weighs most."""
        return sum(self._idf.get(word, self._unseen) for word in found)

    def features(self, query: str, hits: Sequence[Hit]) -> Mapping[str, float]:
        """The features of one query by name, in the order of FEATURES; all are 0 where there is nothing to measure.

        top: best cosine; mean: of the four best; margin: best minus last of NEIGHBOURS; agreement: the largest share of
        the NEIGHBOURS that document one class or module; coverage: share of the query's weighted words that the four
        best documents hold; lexical: best BM25 score by weight asked for, at most MOST_LEXICAL; overlap: share of the
        NEIGHBOURS by cosine that are among those by BM25; known, foreign: identifiers in the query that the index has,
        and has not, as log(1 + count); mentions: 1 when the query names the library; elsewhere: 1 when it names a rival
        and not the library; length: log of its words; code: share of its characters in code marks.
        """
        dense = sorted(hits, key=lambda hit: -hit.score)[:NEIGHBOURS]
        scores = [hit.score for hit in dense] or [0.0]
        asked, used = words(query), identifiers(query)
        weight = max(self.weight(asked), 1e-9)
        held = asked.intersection(chain.from_iterable(words_of(hit.document.text) for hit in dense[:4]))
        known = len(used & self._identifiers)
        return {
            "top": scores[0],
            "mean": sum(scores[:4]) / len(scores[:4]),
            "margin": scores[0] - scores[-1],
            "agreement": agreement(dense),
            "coverage": self.weight(held) / weight,
            # A lone digit has a BM25 score and is no word: no share of nothing.
            "lexical": min(max((hit.lexical for hit in hits), default=0.0) / weight, MOST_LEXICAL) if asked else 0.0,
            "overlap": overlap(dense, hits),
            "known": math.log1p(known),
            "foreign": math.log1p(len(used) - known),
            "mentions": float(bool(asked & self._names)),
            "elsewhere": float(bool(asked & self._rivals) and not asked & self._names),
            "length": math.log1p(len(query.split())),
            "code": sum(map(len, CODE.findall(query))) / max(len(query), 1),
        }


@lru_cache(1 << 13)
def words_of(text: str) -> frozenset[str]:
    """The words of a document; the same few thousand are found again and again."""
    return frozenset(words(text))


def agreement(hits: Sequence[Hit]) -> float:
    """The largest share of hits that document the same class or module."""
    owners = Counter(hit.document.symbol.rpartition(".")[0] for hit in hits)
    return max(owners.values()) / len(hits) if hits else 0.0


def overlap(dense: Sequence[Hit], hits: Sequence[Hit]) -> float:
    """The share of hits by cosine that are among as many by BM25."""
    lexical = sorted((hit for hit in hits if hit.lexical > 0), key=lambda hit: -hit.lexical)[: len(dense)]
    return len({hit.document.id for hit in dense} & {hit.document.id for hit in lexical}) / max(len(dense), 1)
