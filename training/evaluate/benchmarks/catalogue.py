"""The benchmarks by name, each with how it is asked, graded and found when the config says nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from training.evaluate.benchmarks.code import humaneval_item, humaneval_plus_item, mbpp_item, mbpp_plus_item
from training.evaluate.benchmarks.doctests import task_item
from training.evaluate.benchmarks.gsm8k import gsm8k_item
from training.evaluate.benchmarks.livecodebench import livecodebench_item
from training.evaluate.benchmarks.misleading import misleading_item
from training.evaluate.item import Item
from training.evaluate.sources import Row, package_rows

BLOCK_END = ("\n```\n",)
# Where EvalPlus ends an answer too: what follows is the answer's own tests, which no check needs.
CODE_END = (*BLOCK_END, "\nif __name__", "\ndef main(", "\nprint(")


@dataclass(frozen=True)
class Benchmark:
    """`item` reads a row; `template` to `preload` are what holds without a word in the config.

    `extraction` is "" where the check reads answers by rules of its own.

    `rows` are those of a package; else `dataset`, `subset` and `split` name it on the Hugging Face hub, "" where no
    data set there has the form needed.
    """

    item: Callable[[str, Row], Item]
    template: str
    extraction: str
    stop: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    rows: Callable[[], Iterator[tuple[str, Row]]] | None = None
    dataset: str = ""
    subset: str | None = None
    split: str = "test"


BENCHMARKS = {
    "humaneval": Benchmark(humaneval_item, "evalplus", "definitions", CODE_END, ("numpy",), package_rows),
    "humaneval+": Benchmark(
        humaneval_plus_item, "evalplus", "definitions", CODE_END, ("numpy",), dataset="evalplus/humanevalplus"
    ),
    "mbpp": Benchmark(
        mbpp_item,
        "evalplus",
        "definitions",
        CODE_END,
        ("numpy",),
        dataset="google-research-datasets/mbpp",
        subset="full",
    ),
    "mbpp+": Benchmark(mbpp_plus_item, "evalplus", "definitions", CODE_END, ("numpy",), dataset="evalplus/mbppplus"),
    "gsm8k": Benchmark(gsm8k_item, "plain", "", dataset="openai/gsm8k", subset="main"),
    "livecodebench": Benchmark(livecodebench_item, "plain", "last", BLOCK_END, ("numpy",)),
    "doctests": Benchmark(task_item, "plain", "first", BLOCK_END),
    "misleading": Benchmark(misleading_item, "plain", "first", BLOCK_END),
}
