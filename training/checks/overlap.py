"""Training texts and evaluation items in, what stands on both sides out.

id      the same item of the same source, in whichever edition (MBPP+ 601 is MBPP 601)
text    the same question, letter case and punctuation aside
13-gram most of the runs of 13 words of a question's prose, or of a reference, stand in one training text
check   the same check, or one of its assertions: an answer learnt there passes here

One shared run of 13 words is the usual alarm (Brown et al. 2020, arXiv 2005.14165, appendix C). Between sister methods
of one library it rings for nearly all: 167 of 180 held-out Polars tasks share one with a training row, mostly of a
frame that many examples use. So a share is asked for, that from which Touvron et al. 2023 (arXiv 2307.09288, appendix
A.6) call an item dirty, after the runs that a template repeats are taken away. What a question gives in a block or as
an assertion counts as its check.
"""

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from training.errors import StageError
from training.evaluate.benchmarks.doctests import TaskCheck
from training.evaluate.item import Item
from training.rows import Row

WORD = re.compile(r"\w+")
# What a question gives beside its prose: fenced blocks, assertions.
GIVEN = re.compile(r"^```.*?^```|^assert [^\n]*$", re.DOTALL | re.MULTILINE)
GRAM_WORDS = 13
SHARE = 0.8
# Runs that the questions of more clusters hold are a template's words, or data that many of them use.
BOILERPLATE_CLUSTERS = 5
SHOWN = 3


@dataclass(frozen=True)
class Text:
    """Something trained on: what is asked and what is answered, and the item it was made from where there is one."""

    where: str
    question: str
    answer: str
    item: Item | None = None


@dataclass(frozen=True)
class Hit:
    """One evaluation item that training has seen: by which rule, where, and what stands on both sides."""

    kind: str
    training: str
    item: str
    shared: str


def texts_of(rows: Sequence[Row], items: Iterable[Item]) -> list[Text]:
    """Rows and problems as texts; of a row the user's and the assistant's words."""
    return [
        *(
            Text(f"row {number}", "\n".join(contents(row["prompt"])), "\n".join(contents(row["completion"])))
            for number, row in enumerate(rows, 1)
        ),
        *(Text(f'problem "{item.id}"', item.prompt, item.reference or "", item) for item in items),
    ]


def contents(messages: Iterable[Mapping[str, str]]) -> list[str]:
    """What messages say."""
    return [message["content"] for message in messages]


def overlap(texts: Sequence[Text], evaluation: str, items: Sequence[Item]) -> list[Hit]:
    """Every hit of an evaluation set, one at most of each kind for an item; `evaluation` names the set."""
    found = [*by_key(texts, items), *by_grams(texts, items)]
    return [Hit(hit.kind, hit.training, f"{evaluation} {hit.item}", hit.shared) for hit in found]


def by_key(texts: Sequence[Text], items: Sequence[Item]) -> Iterator[Hit]:
    """Hits by what is the same as a whole: id, question, check."""
    problems = [text for text in texts if text.item is not None]
    ids = {key: text.where for text in problems for key in [identity(text.item)]}
    questions = {normalised(text.question): text.where for text in texts}
    checks = {key: text.where for text in problems for key in checked(text.item)}
    for item in items:
        if where := ids.get(identity(item)):
            yield Hit("id", where, item.id, " ".join(identity(item)))
        if (question := normalised(item.prompt)) and (where := questions.get(question)):
            yield Hit("text", where, item.id, item.prompt.strip()[:200])
        if same := [(key, part) for key, part in checked(item).items() if key in checks]:
            yield Hit("check", checks[same[0][0]], item.id, same[0][1][:200])


def by_grams(texts: Sequence[Text], items: Sequence[Item]) -> Iterator[Hit]:
    """Hits by runs of words: a question's in any training text, a reference's in a training answer."""
    asked = {item.id: prose_grams(item.prompt) for item in items}
    clusters = {item.id: item.cluster or item.id for item in items}
    common = boilerplate(asked, clusters)
    answered = {item.id: grams(item.reference or "") for item in items}
    sides = [(asked, [t.question for t in texts]), (answered, [t.answer for t in texts])]
    done: set[str] = set()
    for wanted, sources in sides:
        wanted = {id_: own - common for id_, own in wanted.items()}
        for id_, number in contained(wanted, sources).items():
            if id_ not in done:
                done.add(id_)
                shared = sorted(wanted[id_] & grams(sources[number]))
                yield Hit("13-gram", texts[number].where, id_, shared[0])


def contained(wanted: Mapping[str, set[str]], sources: Sequence[str]) -> dict[str, int]:
    """By item the number of the source text that holds most of its runs, where that is SHARE of them or more."""
    known = set().union(*wanted.values())
    holders: dict[str, list[int]] = {}
    for number, source in enumerate(sources):
        for gram in grams(source) & known:
            holders.setdefault(gram, []).append(number)
    found = {}
    for id_, own in wanted.items():
        counted = Counter(number for gram in own for number in holders.get(gram, ()))
        number, count = max(counted.items(), key=lambda pair: (pair[1], -pair[0]), default=(0, 0))
        if count and count >= SHARE * len(own):
            found[id_] = number
    return found


def boilerplate(asked: Mapping[str, set[str]], clusters: Mapping[str, str]) -> set[str]:
    """The runs that questions of many clusters hold."""
    held = {(clusters[id_], gram) for id_, own in asked.items() for gram in own}
    counted = Counter(gram for _, gram in held)
    return {gram for gram, count in counted.items() if count > BOILERPLATE_CLUSTERS}


def prose_grams(question: str) -> set[str]:
    """The runs of a question between its blocks and assertions; of the whole question where none is left."""
    parts = GIVEN.split(question)
    return set().union(*map(grams, parts)) or grams(question)


def words(text: str) -> list[str]:
    """The words of a text, in lower case; digits and underscores belong to them."""
    return WORD.findall(text.lower())


def grams(text: str) -> set[str]:
    """Every run of 13 words."""
    found = words(text)
    return {" ".join(found[start : start + GRAM_WORDS]) for start in range(len(found) - GRAM_WORDS + 1)}


def normalised(text: str) -> str:
    """Hash of a text's words; empty without any."""
    found = words(text)
    return digest(" ".join(found)) if found else ""


def identity(item: Item | None) -> tuple[str, str]:
    """Source and number of an item, those of an edition with more tests being the original's."""
    if item is None:
        return "", ""
    source = item.source.split(",")[0].rstrip("+").casefold()
    return source, item.id.casefold().removeprefix(f"{source}/")


def checked(item: Item | None) -> dict[str, str]:
    """What a check decides by, as keys and in words: a task's two outcomes, a test as a whole, its assertions.

    Empty for a check without a program, such as that of a number: the same number is no sign of anything.
    """
    if item is None:
        return {}
    if isinstance(item.check, TaskCheck):
        task = item.check.task
        return {digest(f"{task.setup}\n{task.expected}\n{task.expected_second}"): task.expected}
    test = getattr(item.check, "test", "")
    return {digest(part): part for part in (test, *assertions(test)) if part.strip()}


def assertions(test: str) -> Iterator[str]:
    """The assertions at the top of a test, one a line, as syntax: they name the function they are about."""
    for line in test.splitlines():
        if line.startswith("assert "):
            try:
                yield ast.unparse(ast.parse(line))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue


def one_line(text: str) -> str:
    """A text with single spaces."""
    return " ".join(text.split())


def digest(text: str) -> str:
    """Hash of a text, space aside."""
    return hashlib.sha256(one_line(text).encode()).hexdigest()


def refuse(hits: Sequence[Hit]) -> None:
    """Raise StageError when training has seen an evaluation item."""
    if not hits:
        return
    shown = "; ".join(
        f'{hit.item} by {hit.kind} in {hit.training}: "{one_line(hit.shared)[:80]}"' for hit in hits[:SHOWN]
    )
    items = len({hit.item for hit in hits})
    raise StageError(
        f"training has seen {items} evaluation items ({len(hits)} hits): {shown}"
        f"{'; and more in overlap.json' if len(hits) > SHOWN else ''}. Leave the rows out of training, the items out "
        "of the evaluation with `exclude`, or set `allow_contaminated: true`, which every score will say"
    )
