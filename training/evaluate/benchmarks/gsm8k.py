"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): the last number of an answer, by two rules side by side.

strict takes the number after the first `####`, flexible the last number anywhere: lm-evaluation-harness's two readings,
here of the number's value, so that 18.00 is 18. Asked without examples; published scores mostly show four or eight.
"""

from dataclasses import dataclass

from training.errors import BenchmarkError
from training.evaluate.item import Grade, Item, Run
from training.evaluate.sources import Row, text
from training.extract import flexible_number, strict_number

FORM = "Reason step by step, then give the final number after four hash signs, like this: #### 42"


@dataclass(frozen=True)
class NumberCheck:
    """Compares a number; no program is run."""

    gold: str
    rules: tuple[str, ...] = ("strict", "flexible")

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """Both rules' verdicts."""
        found = {"strict": strict_number(answer), "flexible": flexible_number(answer)}
        scores = {rule: value == self.gold for rule, value in found.items()}
        said = ", ".join(f"{rule} {value}" for rule, value in found.items())
        return Grade(scores, "passed" if all(scores.values()) else "failed", f"{said}; wanted {self.gold}")


def gsm8k_item(where: str, row: Row) -> Item:
    """One problem; its gold is what stands after `####`. Rows have no id of their own: their place is one."""
    question, answer = text(row, where, "question"), text(row, where, "answer")
    gold = strict_number(answer)
    if gold is None:
        raise BenchmarkError(f'{where}: its answer has no "#### number": copy the file again')
    id_ = str(row.get("id") or f"gsm8k/{where.rsplit(' ', 1)[-1]}")
    return Item(id_, f"{question.strip()}\n\n{FORM}", NumberCheck(gold), "MIT", "GSM8K", answer, cluster=id_)
