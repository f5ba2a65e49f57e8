"""What an index holds: one retrievable text, where it stands, and under which licence.

Where documents come from is written in index/sources/.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["object", "example", "section", "notebook", "line", "row"]


@dataclass(frozen=True)
class Document:
    """One retrievable text; `symbol` is the public path, or the headings above it, and `kind` what it was read from.

    `path` is relative to the source's root; lines count from 1, both ends included; "" and 0: no file is known.
    """

    id: str
    text: str
    source: str
    licence: str
    kind: Kind
    symbol: str
    path: str = ""
    first_line: int = 0
    last_line: int = 0

    @property
    def name(self) -> str:
        """Last part of a public path: the method name that decides the split; any other symbol whole."""
        return name_of(self.symbol)

    @property
    def hash(self) -> str:
        """SHA-256 of the text: documents of one text share one embedding."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@lru_cache(1 << 14)
def name_of(symbol: str) -> str:
    """See Document.name; kept, because every search asks for two dozen."""
    parts = symbol.split(".")
    return parts[-1] if all(part.isidentifier() for part in parts) else symbol
