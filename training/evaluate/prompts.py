"""A problem in, the words a model is asked with out. Every template has a name that scores record.

plain       the problem as it stands
complete    a function to complete, asked for in one code block
evalplus    EvalPlus's chat prompt (Liu et al. 2023, arXiv 2305.01210; evalplus 0.3.1, codegen): instruction, the
            problem in a block, and the first words of the answer, so that the model goes on with code; published
            scores of instruction models on HumanEval(+) and MBPP(+) were mostly measured with it
"""

from dataclasses import dataclass

BLOCK = "```python\n"


@dataclass(frozen=True)
class Prompt:
    """The user's message, and the words that the answer is made to start with."""

    user: str
    prefix: str = ""


def plain(problem: str) -> Prompt:
    """The problem as it stands."""
    return Prompt(problem)


def complete(problem: str) -> Prompt:
    """A function to complete."""
    asked = "Complete the following Python function. Answer with the whole function in one Python code block.\n\n"
    return Prompt(f"{asked}{BLOCK}{problem.rstrip()}\n```")


def evalplus(problem: str) -> Prompt:
    """EvalPlus's instruction and the answer's first words."""
    asked = "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
    begun = "Below is a Python script with a self-contained function that solves the problem and passes "
    begun += "corresponding tests:"
    return Prompt(f"{asked}\n```\n{problem.strip()}\n```\n", f"{begun}\n{BLOCK}")


TEMPLATES = {"plain": plain, "complete": complete, "evalplus": evalplus}
