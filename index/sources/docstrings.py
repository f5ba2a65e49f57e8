"""A documented object in, its documents out: signature and prose, then one for each doctest block.

The same for an object that was imported and for one read from a syntax tree. A malformed docstring has no examples.
"""

import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass

from index.documents import Document

PARSER = doctest.DocTestParser()
SECTION = re.compile(r"\n[A-Z][A-Za-z ]+\n-{3,}\n")
ROLE = re.compile(r":[a-z:]+:(?=`)")
DIRECTIVE = re.compile(r"\.\. [\w-]+::[^\n]*\n(?:[ \t]+[^\n]*\n|\n)*")


def flowing(text: str) -> str:
    """Prose on one line, reStructuredText roles reduced to their text."""
    return re.sub(r"\s+", " ", ROLE.sub("", text)).strip()


@dataclass(frozen=True)
class Place:
    """A definition's file, its lines, and the line on which its docstring's text begins; 0 where that is not known."""

    path: str = ""
    first_line: int = 0
    last_line: int = 0
    docstring_line: int = 0


NOWHERE = Place()


@dataclass(frozen=True)
class PublicObject:
    """A documented object as its users reach it."""

    symbol: str
    signature: str
    docstring: str
    place: Place = NOWHERE

    @property
    def prose(self) -> str:
        """Everything before the first section heading, without directives and doctests."""
        head = SECTION.split("\n" + self.docstring + "\n")[0].split(">>>")[0]
        return flowing(DIRECTIVE.sub("", head))


@dataclass(frozen=True)
class DoctestBlock:
    """Consecutive doctest examples with the prose that stands before them."""

    prose: str
    examples: tuple[doctest.Example, ...]

    @property
    def code(self) -> str:
        """The block's statements, one after the other, without prompts or output."""
        return "".join(strip_directive(example.source) for example in self.examples)

    def lines(self, place: Place) -> tuple[int, int]:
        """First and last line in the file; the whole object's where it is not known where the docstring begins."""
        if not place.docstring_line:
            return place.first_line, place.last_line
        last = self.examples[-1]
        length = last.source.count("\n") + last.want.count("\n")
        return place.docstring_line + self.examples[0].lineno, place.docstring_line + last.lineno + length - 1


def strip_directive(source: str) -> str:
    """Remove `# doctest:` comments, which mean nothing outside a doctest runner."""
    return re.sub(r"[ \t]*# doctest:[^\n]*", "", source)


def doctest_blocks(docstring: str) -> list[DoctestBlock]:
    """Split a docstring into blocks; prose ends a block. A malformed docstring has no blocks."""
    try:
        pieces = PARSER.parse(docstring)
    except ValueError:
        return []
    blocks: list[DoctestBlock] = []
    prose, examples = "", []
    for piece in pieces:
        if isinstance(piece, doctest.Example):
            examples.append(piece)
        elif piece.strip():
            if examples:
                blocks.append(DoctestBlock(prose, tuple(examples)))
            prose, examples = last_paragraph(piece), []
    return [*blocks, DoctestBlock(prose, tuple(examples))] if examples else blocks


def last_paragraph(text: str) -> str:
    """The paragraph right before a doctest, empty when that is only a section heading or a directive."""
    paragraph = re.split(r"\n\s*\n", text.strip())[-1]
    return "" if re.search(r"-{3,}|\.\. ", paragraph) else flowing(paragraph)


def object_documents(thing: PublicObject, prefix: str, source: str, licence: str) -> Iterator[Document]:
    """The documents of one object; ids hold the prefix, the public path, and the block's number in its docstring."""
    id_, place = f"{prefix}:{thing.symbol}", thing.place
    text = f"{thing.symbol}{thing.signature}\n{thing.prose}"
    lines = (place.first_line, place.last_line)
    yield Document(id_, text, source, licence, "object", thing.symbol, place.path, *lines)
    for number, block in enumerate(doctest_blocks(thing.docstring)):
        text = f"{thing.symbol}: {block.prose or thing.prose}\n{block.code}"
        lines = block.lines(place)
        yield Document(f"{id_}#{number}", text, source, licence, "example", thing.symbol, place.path, *lines)
