"""The arrows between the parts, the one file of each heavy library, the public surface, and imports that start nothing.

Read from the source by AST, so that a part that cannot be imported here (a GPU library missing) is still held.
"""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARROWS = {
    "machine": set(),
    "starter": set(),
    "index": {"starter"},
    "service": {"index", "machine", "starter"},
    "training": {"index", "machine", "starter"},
}
HOMES = {
    "vllm": {"service/engines/vllm.py", "service/lora_cpu", "training/engine.py"},
    "matplotlib": {"training/pages.py"},
    "docutils": {"index/sources/restructured.py"},
    "markdown_it": {"index/sources/markdown.py"},
    "nbformat": {"index/sources/notebooks.py"},
    "faiss": {"index/vectors.py"},
    "pymilvus": {"index/milvus/server.py"},
    "bm25s": {"index/lexical.py"},
    "sentence_transformers": {"index/encoders/reference.py"},
    "onnxruntime": {"index/encoders/quantised.py"},
    "model2vec": {"index/encoders/static.py"},
    "trl": {"training/trainer"},
    "peft": {"training/trainer"},
    "fastapi": {"service/app.py", "service/routes"},
}
# vLLM imports the plugin's package on every platform, so what follows from a CPU is imported when asked for
IMPORTS_IN_FUNCTIONS = {"service/lora_cpu/__init__.py"}
SURFACES = {
    "starter": {"StarterError", "home", "resolve_encoder", "resolve_model"},
    "index": set(),
    "machine": set(),
    "service": set(),
    "training": set(),
    "service.lora_cpu": {"kernel_status", "register"},
}
HEAVY = (
    "torch",
    "transformers",
    "vllm",
    "sentence_transformers",
    "trl",
    "peft",
    "sklearn",
    "pymilvus",
)  # a second or more each


def sources() -> list[Path]:
    return sorted(path for part in ARROWS for path in (ROOT / part).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every module that is named by an import statement, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def test_every_part_is_seen() -> None:
    """A renamed package must not make these tests pass by finding nothing."""
    assert {path.relative_to(ROOT).parts[0] for path in sources()} == set(ARROWS)


@pytest.mark.parametrize("part", ARROWS)
def test_imports_go_one_way(part: str) -> None:
    against = [
        f"{relative(path)}:{line} imports {name}"
        for path in sorted((ROOT / part).rglob("*.py"))
        for name, line in imported(parse(path))
        if (other := name.partition(".")[0]) in ARROWS and other not in ARROWS[part] | {part}
    ]
    assert against == []


def test_no_part_imports_the_command_line_tests_or_benchmarks() -> None:
    outside = {"pointsman", "doctor", "tests", "benchmarks"}
    against = [
        f"{relative(path)}:{line} imports {name}"
        for path in sources()
        for name, line in imported(parse(path))
        if name.partition(".")[0] in outside
    ]
    assert against == []


def test_no_modules_import_each_other() -> None:
    """The graph of our modules has no cycle; imports for type checkers alone do not count."""
    modules = {module_of(path): path for path in sources()}
    graph = {
        name: {found for found in targets(without_type_checking(parse(path)), set(modules)) if found != name}
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for found in graph[name]:
                visit(found, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def targets(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    """The modules an import statement runs for a name: `from a import b` means a.b where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in modules else node.module for name in names)


def without_type_checking(tree: ast.Module) -> ast.Module:
    class Remove(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test).endswith("TYPE_CHECKING") else self.generic_visit(node)

    return Remove().visit(tree)


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_is_imported_in_one_place(library: str) -> None:
    against = [
        f"{relative(path)}:{line}"
        for path in sources()
        for name, line in imported(parse(path))
        if name.partition(".")[0] == library and not relative(path).startswith(tuple(HOMES[library]))
    ]
    assert against == []


def test_our_modules_are_imported_at_the_top() -> None:
    """No import of our own inside a function: dependencies show at the head of each file."""
    against = [
        f"{relative(path)}:{line} imports {name}"
        for path in sources()
        if relative(path) not in IMPORTS_IN_FUNCTIONS
        for function in ast.walk(parse(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for name, line in imported(function)
        if name.partition(".")[0] in ARROWS
    ]
    assert against == []


@pytest.mark.parametrize("package", SURFACES)
def test_the_public_surface_is_small_and_held(package: str) -> None:
    assert set(getattr(importlib.import_module(package), "__all__", ())) == SURFACES[package]


LIGHT = f"""
import os, sys, threading
before = dict(os.environ)
for name in sys.argv[1:]:
    __import__(name)
print(*sorted(library for library in {HEAVY} if library in sys.modules), sep=",")
print(threading.active_count())
print(os.environ == before)
"""


def test_importing_the_light_modules_loads_no_heavy_library() -> None:
    """The command line, the starter, the app and its routes need neither torch nor a thread nor the environment."""
    light = ["pointsman", "doctor", "starter", "index.embed", "service.app", "service.serve", "service.lora_cpu"]
    result = subprocess.run(
        [sys.executable, "-c", LIGHT, *light], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[:3] == ["", "1", "True"]
    assert result.stderr == ""
