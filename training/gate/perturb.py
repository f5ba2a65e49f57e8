"""Queries in, the same ones said otherwise out: what must not change a decision, and what must.

typo         two neighbouring letters exchanged in one of twelve longer words, at least in one
paraphrase   the request in other words around the same content, by fixed patterns
rename       the variables of the query's code under other names
other_api    the library exchanged for a rival, names and all: now it asks about something close to it

By rule, without a model: nothing here invents content. Not covered: translations, synonyms within the content.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence

from index.features import CODE

Perturb = Callable[[str, random.Random], str]
LONG_WORD = re.compile(r"\b[A-Za-z]{5,}\b")
ASSIGNED = re.compile(r"^(\w+) *=[^=]", re.MULTILINE)
OPENINGS = (
    (re.compile(r"^How (?:do|can) I (?:do this in (?P<place>[\w ]+): )?(?P<what>.+?)\?", re.IGNORECASE | re.DOTALL),
     ("What is the best way to {what}?", "I need to {what}. How is that done?", "Please show me how to {what}.")),
    (re.compile(r"^Using (?P<place>\w+): (?P<what>.+?)\.", re.DOTALL),
     ("With {place}, I would like this: {what}.", "My task ({place}): {what}.", "In {place}, how to do it: {what}?")),
    (re.compile(r"^(?:Write|Implement|Create) (?P<what>.+?)\.", re.DOTALL),
     ("Could you give me {what}?", "I am looking for {what}.", "Show me {what}, please.")),
)  # fmt: skip
FRAMES = ("Hi, a quick question. {}", "{} Thanks in advance!", "{} Explain it shortly.", "I am stuck with this: {}")
NEW_NAMES = ("item", "source_value", "first_one", "thing", "my_input", "given", "old", "current")


def typo(text: str, draw: random.Random) -> str:
    """Exchange two letters in some words outside code marks."""
    spans = [match.span() for match in CODE.finditer(text)]
    words = [m for m in LONG_WORD.finditer(text) if not any(a <= m.start() < b for a, b in spans)]
    letters = list(text)
    for match in draw.sample(words, min(len(words), max(1, len(words) // 12))):
        at = draw.randrange(match.start() + 1, match.end() - 2)
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def paraphrase(text: str, draw: random.Random) -> str:
    """Put the request into other words; the place it names stays named."""
    for pattern, ways in OPENINGS:
        if match := pattern.match(text):
            parts = match.groupdict(default="")
            said = draw.choice(ways).format(**parts)
            place = parts.get("place", "")
            named = said if not place or place in said else f"{said} (in {place})"
            return named + text[match.end() :]
    return draw.choice(FRAMES).format(text)


def rename(text: str, draw: random.Random) -> str:
    """Give the variables that the query's code assigns other names, everywhere in the query's code."""
    names = [name for name in dict.fromkeys(ASSIGNED.findall("\n".join(CODE.findall(text)))) if name != "result"]
    new = dict(zip(names, draw.sample(NEW_NAMES, min(len(names), len(NEW_NAMES))), strict=False))
    if not new:
        return text
    wanted = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, new))})(?!\w)")
    return CODE.sub(lambda code: wanted.sub(lambda name: new[name[1]], code[0]), text)


def other_api(names: Sequence[str], rivals: Sequence[str]) -> Perturb:
    """Exchange the library's names for a rival's: the first for the first, the second for the second, and so on."""
    pairs = dict(zip(names, rivals, strict=False))
    wanted = re.compile(rf"\b({'|'.join(map(re.escape, pairs))})\b", re.IGNORECASE)

    def exchange(text: str, draw: random.Random) -> str:
        said = wanted.sub(lambda name: pairs[name[1].lower()], text)
        return said if said != text else f"{text} (in {rivals[0]})"

    return exchange


SAME_MEANING: Mapping[str, Perturb] = {"typo": typo, "paraphrase": paraphrase, "rename": rename}
