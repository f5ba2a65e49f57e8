"""Markdown in, headings and blocks out: the one file that imports markdown_it.

Blocks are the file's own lines; comments, which no reader sees, and front matter are left out, except that a title in
front matter is the first heading. Link definitions are no text. Not covered: what other tools put into Markdown
(directives, snippets, tables of contents) stays as it is written.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from markdown_it import MarkdownIt

from index.sources.sections import Block

# Only headings are read further than their lines.
BLOCKS = MarkdownIt("commonmark").disable(["inline", "text_join"])
INLINE = MarkdownIt("commonmark")
FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?=[\w-]+:)(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
TITLE = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
ATTRIBUTES = re.compile(r"\s*\{[#.:][^}]*\}\s*$")


def markdown_blocks(text: str) -> Iterator[Block]:
    """The headings and top-level blocks of a document, in their order."""
    if matter := FRONT_MATTER.match(text):
        if title := TITLE.search(matter[1]):
            yield Block(title[2], 1, matter[0].count("\n"), level=1)
        text = "\n" * matter[0].count("\n") + text[matter.end() :]
    lines = text.split("\n")
    tokens = BLOCKS.parse(text)
    for token, inner in pairwise([*tokens, None]):
        if token is None or token.level or token.map is None or token.type == "hr":
            continue
        first, last = token.map[0] + 1, token.map[1]
        while last > first and not lines[last - 1].strip():
            last -= 1
        if token.type == "heading_open" and inner is not None:
            yield Block(plain(inner.content), first, last, level=int(token.tag.removeprefix("h")))
        elif not is_comment("\n".join(lines[first - 1 : last])):
            yield Block("\n".join(lines[first - 1 : last]), first, last)


def plain(heading: str) -> str:
    """A heading without its markup and on one line."""
    tokens = INLINE.parseInline(ATTRIBUTES.sub("", heading))[0].children or []
    text = "".join(" " if token.type.endswith("break") else token.content for token in tokens if token.type in SHOWN)
    return " ".join(text.split())


SHOWN = ("text", "code_inline", "text_special", "softbreak", "hardbreak")


def is_comment(text: str) -> bool:
    """Whether a block is nothing but an HTML comment."""
    text = text.strip()
    return text.startswith("<!--") and text.find("-->") in (-1, len(text) - 3)
