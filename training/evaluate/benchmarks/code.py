"""HumanEval, HumanEval+, MBPP and MBPP+: rows to items whose check is a program."""

import ast
from dataclasses import dataclass
from functools import cache

from training.errors import BenchmarkError
from training.evaluate.item import Grade, Item, Run, graded
from training.evaluate.sources import Row, identity, package_rows, text, texts
from training.extract import EXTRACTIONS, after, defines
from training.sandbox import Program

PLUS_CHECK = "\nplus_check(candidate)\n"


@dataclass(frozen=True)
class CodeCheck:
    """Runs the answer's code against a test.

    `given` is code that the prompt gave before the function: the program starts with it, and the test may use it.
    `stub` is what an answer that is a bare body continues.
    """

    entry_point: str
    test: str
    given: str = ""
    setup: str = ""
    stub: str = ""
    rules: tuple[str, ...] = ("passed",)

    def program(self, answer: str, extraction: str = "definitions") -> Program:
        """The answer as a whole program."""
        code = EXTRACTIONS[extraction](answer, self.entry_point)
        whole = defines(code, self.entry_point) or not self.stub
        return Program(after(self.given, code) if whole else self.stub + code, self.test, self.entry_point, self.setup)

    def grade(self, answer: str, extraction: str, run: Run) -> Grade:
        """The verdict on the program."""
        return graded(run(self.program(answer, extraction)))


@cache
def entry_points() -> frozenset[str]:
    """The function names that HumanEval asks for."""
    return frozenset(row["entry_point"] for _, row in package_rows())


def humaneval_item(where: str, row: Row) -> Item:
    """Chen et al. 2021, arXiv 2107.03374."""
    id_, prompt, entry = identity(row, where, "task_id"), text(row, where, "prompt"), text(row, where, "entry_point")
    given = prompt.split(f"def {entry}(")[0]
    check = CodeCheck(entry, text(row, where, "test"), given, setup=given, stub=prompt)
    reference = fenced(prompt + text(row, where, "canonical_solution"))
    return Item(id_, prompt, check, "MIT", "HumanEval", reference, cluster=id_)


def humaneval_plus_item(where: str, row: Row) -> Item:
    """The tests of Liu et al. 2023, arXiv 2305.01210: HumanEval's and many more, in the same form."""
    item = humaneval_item(where, row)
    return Item(item.id, item.prompt, item.check, "Apache-2.0", "HumanEval+", item.reference, cluster=item.id)


def mbpp_item(where: str, row: Row) -> Item:
    """Austin et al. 2021, arXiv 2108.07732: a sentence and assertions; the function is the one they call."""
    tests = "\n".join(texts(row, where, "test_list"))
    reference = text(row, where, "code", "canonical_solution")
    imports = [*(row.get("test_imports") or []), *shared_imports(tests, reference)]
    setup = "\n".join([*imports, row.get("test_setup_code") or ""])
    entry = text(row, where, "entry_point") if "entry_point" in row else called(tests, reference, where)
    check = CodeCheck(entry, tests, setup=setup)
    id_ = identity(row, where, "task_id")
    return Item(id_, mbpp_prompt(row, where), check, "CC-BY-4.0", "MBPP", fenced(reference), cluster=id_)


def mbpp_plus_item(where: str, row: Row) -> Item:
    """MBPP with EvalPlus's tests: an answer must pass both."""
    base = mbpp_item(where, row)
    assert isinstance(base.check, CodeCheck)
    plus = text(row, where, "test")
    if "def plus_check(" in plus:
        cases = row.get("n_base", 1) or row.get("n_plus", 1)
        plus = f"{plus}\n{PLUS_CHECK}" if cases else ""
    check = CodeCheck(base.check.entry_point, f"{base.check.test}\n{plus}", setup=base.check.setup)
    licence = "Apache-2.0 AND CC-BY-4.0"
    return Item(base.id, base.prompt, check, licence, "MBPP+", base.reference, cluster=base.id)


def mbpp_prompt(row: Row, where: str) -> str:
    """The sentence and the first assertion as a docstring, which is how EvalPlus shows a problem."""
    prompt = str(row.get("prompt") or "")
    if prompt.lstrip().startswith('"""'):
        return prompt
    return f'"""\n{text(row, where, "text", "prompt").strip()}\n{texts(row, where, "test_list")[0]}\n"""\n'


def fenced(code: str) -> str:
    """Code as an answer."""
    return f"```python\n{code.strip()}\n```"


def shared_imports(tests: str, reference: str) -> list[str]:
    """The reference's imports of modules that the assertions name too; they were written to run in one process."""
    try:
        used = {node.id for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)}
        imports = [n for n in ast.parse(reference).body if isinstance(n, ast.Import | ast.ImportFrom)]
    except SyntaxError:
        return []
    return [ast.unparse(node) for node in imports if used & {name.asname or name.name for name in node.names}]


def called(tests: str, reference: str, where: str) -> str:
    """The name that the reference defines and the assertions call; raises BenchmarkError when there is none."""
    try:
        used = {node.id for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)}
        defined = [n.name for n in ast.parse(reference).body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    except SyntaxError as error:
        raise BenchmarkError(f"{where}: its reference or its tests are not Python ({error}): leave it out") from error
    for name in defined[::-1]:
        if name in used:
            return name
    raise BenchmarkError(f"{where}: its tests call nothing that its reference defines ({defined}): leave it out")
