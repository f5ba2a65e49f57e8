"""reStructuredText in, headings and blocks out, and the plain text of a block: the one file that imports docutils.

docutils opens no file, lets no raw text through, and reports nothing: documents are not trusted. What it does not know,
which is most of what Sphinx adds, stays in the text: a directive's argument and content, a role's text. Code is fenced.
Not covered: substitutions and references between documents.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from textwrap import dedent
from typing import Any

from docutils import nodes  # type: ignore[import-untyped]
from docutils.frontend import get_default_settings  # type: ignore[import-untyped]
from docutils.parsers.rst import Parser, roles  # type: ignore[import-untyped]
from docutils.utils import new_document  # type: ignore[import-untyped]

from index.errors import CorpusError
from index.sources.files import FILE_BYTES
from index.sources.sections import Block

SAFE = {
    "file_insertion_enabled": False, "raw_enabled": False, "report_level": 5, "halt_level": 6, "warning_stream": False,
    "syntax_highlight": "none", "line_length_limit": FILE_BYTES,
}  # fmt: skip
# What Python's splitlines, and so docutils, takes for line ends beside "\n".
OTHER_LINE_ENDS = re.compile("[\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029]")
ROLE = re.compile(r":[\w:+.-]+:`[~!]?(.*?)(?:\s*<[^<>]*>)?`", re.DOTALL)
DIRECTIVE = re.compile(r"\.\. ([\w:+.-]+)::[ \t]*([^\n]*)\n?((?:[ \t]+:[\w-]+:[^\n]*\n?)*)(.*)", re.DOTALL)
UNSEEN = (nodes.comment, nodes.substitution_definition, nodes.raw, nodes.meta)
CODE = frozenset({"code-block", "sourcecode", "code", "doctest", "testcode", "testsetup", "testoutput", "ipython"})
VERSIONS = frozenset({"versionadded", "versionchanged", "versionremoved", "deprecated"})
NO_TEXT = frozenset({"raw", "include", "literalinclude", "toctree"})


def restructured_blocks(text: str) -> Iterator[Block]:
    """The headings of a document and the paragraphs between them, in their order; raises CorpusError as `parse` does.

    A paragraph begins after a blank line without an indent, so that directives and lists keep what belongs to them.
    """
    text = OTHER_LINE_ENDS.sub(" ", text)
    lines = text.split("\n")
    headings = [*found_headings(parse(text), lines, 1), Block("", len(lines) + 1, len(lines))]
    yield from paragraphs(lines, 1, headings[0].first_line - 1)
    for heading, following in pairwise(headings):
        yield heading
        yield from paragraphs(lines, heading.last_line + 1, following.first_line - 1)


def found_headings(node: Any, lines: list[str], level: int) -> Iterator[Block]:
    """Every section's title below a node; docutils states the line of its underline."""
    for section in node.children:
        if isinstance(section, nodes.section):
            underline = section.line
            overlined = underline > 2 and lines[underline - 3].rstrip() == lines[underline - 1].rstrip()
            title = " ".join(plain_text(section[0]).split())
            yield Block(title, underline - 2 if overlined else underline - 1, underline, level)
            yield from found_headings(section, lines, level + 1)


def paragraphs(lines: list[str], first: int, last: int) -> Iterator[Block]:
    """The blocks of some lines, both ends counted from 1 and included."""
    written = [number for number in range(first, last + 1) if lines[number - 1].strip()]
    starts = [number for number in written if number == written[0] or starts_block(lines, number)]
    for start, end in pairwise([*starts, last + 1]):
        text = "\n".join(lines[start - 1 : end - 1]).rstrip()
        yield Block(text, start, start + text.count("\n"))


def starts_block(lines: list[str], number: int) -> bool:
    """Whether a line stands at the margin after a blank one."""
    return not lines[number - 1][0].isspace() and not lines[number - 2].strip()


def rendered(text: str) -> str:
    """The text of a block as its readers see it; raises CorpusError as `parse` does."""
    return re.sub(r"\n{3,}", "\n\n", plain_text(parse(text))).strip()


def plain_text(node: Any) -> str:
    """A node's text, with docutils' messages replaced by what they are about."""
    for message in found(node, nodes.system_message):
        put(message, about(message))
    for unseen in found(node, *UNSEEN):
        put(unseen, [])
    for topic in found(node, nodes.topic):
        if "contents" in topic["classes"]:
            put(topic, [])
    for problem in found(node, nodes.problematic):
        put(problem, [nodes.Text(ROLE.sub(r"\1", problem.astext()))])
    for row in found(node, nodes.row):
        put(row, [nodes.paragraph("", " | ".join(" ".join(cell.astext().split()) for cell in row.children))])
    for code in found(node, nodes.literal_block, nodes.doctest_block):
        put(code, [nodes.paragraph("", f"```\n{code.astext()}\n```")])
    return node.astext()


def found(node: Any, *kinds: type) -> list[Any]:
    """The nodes of some kinds below a node."""
    return list(node.findall(lambda inner: isinstance(inner, kinds)))


def put(node: Any, instead: list[Any]) -> None:
    """Put others into a node's place."""
    place = node.parent.index(node)
    node.parent[place : place + 1] = instead


def about(message: Any) -> list[Any]:
    """What a message quotes: a directive's content, or a block as it was written; nothing where it quotes nothing."""
    quoted = next((child.astext() for child in message.children if isinstance(child, nodes.literal_block)), "")
    directive = DIRECTIVE.fullmatch(quoted)
    if directive is None:
        return [nodes.paragraph("", quoted)] if quoted else []
    name, argument, _, content = directive.groups()
    if name in NO_TEXT:
        return []
    if name in CODE:
        return [nodes.literal_block("", dedent(content).strip("\n"))]
    text = f"{name} {argument}" if name in VERSIONS else ROLE.sub(r"\1", argument)
    return [nodes.paragraph("", f"{text}\n\n{rendered(dedent(content))}".strip())]


@cache
def settings() -> Any:
    """docutils' settings for documents that are not trusted."""
    found = get_default_settings(Parser)
    for key, value in SAFE.items():
        setattr(found, key, value)
    return found


def parse(text: str) -> Any:
    """The tree of a text; raises CorpusError where docutils fails on it."""
    document = new_document("", settings().copy())
    roles._roles.clear()  # a role that one document defines stays known to the next, which would read otherwise
    try:
        Parser().parse(text, document)
    except Exception as error:  # a directive raises whatever its author did not expect
        raise CorpusError(f'docutils cannot read it ("{error}"): correct the markup, or exclude the file') from error
    return document
