"""A source tree in, its public objects and their doctest blocks as documents out. Nothing is imported or run.

Left out, and told: tests, what is vendored or built, and files that this Python cannot read. Not covered: stub files,
compiled modules, and what is made at run time; index/sources/package.py sees the latter two.
"""

import platform
from pathlib import Path

from index.documents import Document
from index.errors import CorpusError
from index.sources.checkout import origin_of
from index.sources.config import CodeSource
from index.sources.docstrings import object_documents
from index.sources.exports import public_things
from index.sources.files import FOREIGN_FOLDERS, File, list_files, read_bytes, root_of
from index.sources.left_out import LeftOut
from index.sources.module import Module, read_module
from index.sources.syntax import FAILURES, parse

FOLDERS = FOREIGN_FOLDERS | {
    "test", "tests", "build", "dist", "vendor", "vendored", "_vendor", "_vendored", "third_party", "thirdparty",
}  # fmt: skip
FILES = ("setup.py", "conftest.py", "noxfile.py", "__main__.py")


def code_documents(source: CodeSource) -> list[Document]:
    """Read a source tree; raises CorpusError when it holds no Python file or no public docstring."""
    left = LeftOut(source.label)
    things = public_things(read_modules(list_files(source, (".py",), left, FOLDERS), left))
    left.tell()
    if not things:
        raise CorpusError(f"{source.label} has no public docstrings: name another folder")
    origin = origin_of(source, root_of(source))
    return [
        document
        for thing in things
        for document in object_documents(thing, source.prefix, origin.source, origin.licence)
    ]


def read_modules(files: list[File], left: LeftOut) -> dict[str, Module]:
    """The modules of a tree by name, without those that are no part of a library or cannot be read."""
    modules: dict[str, Module] = {}
    for file in files:
        if is_test(file):
            left.add("files by their name", f'"{file.path}"')
            continue
        try:
            module = module_of(file, modules)
        except (CorpusError, *FAILURES) as error:
            left.add(f"files that Python {platform.python_version()} cannot read", f'"{file.path}" ({reason(error)})')
        else:
            modules[module.name] = module
    return modules


def is_test(file: File) -> bool:
    """Whether a file tests, installs or starts the library instead of being part of it."""
    name = file.location.name
    return name in FILES or name.startswith("test_") or name.endswith("_test.py")


def module_of(file: File, taken: dict[str, Module]) -> Module:
    """One file's module; raises FAILURES, or CorpusError, for one that is no Python 3 or cannot be read."""
    tree = parse(read_bytes(file))
    name = module_name(file)
    if name in taken or not name:
        name = ".".join(parts_of(file))
    return read_module(tree, name, file.path, is_package=file.location.name == "__init__.py")


def parts_of(file: File) -> tuple[str, ...]:
    """The parts of a module's name as its path gives them."""
    parts = Path(file.path).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def module_name(file: File) -> str:
    """The name that a file is imported by.

    It begins below the last folder named "src", else with the outermost package around the file, which may reach above
    the root, else at the root.
    """
    parts = parts_of(file)
    folder = file.location.resolve().parent
    around: list[str] = []
    while (folder / "__init__.py").is_file():
        around, folder = [folder.name, *around], folder.parent
    if "src" in parts[:-1]:
        parts = parts[len(parts) - parts[::-1].index("src") :]
    elif around:
        parts = (*around, *([] if file.location.name == "__init__.py" else [file.location.stem]))
    return ".".join(parts)


def reason(error: Exception) -> str:
    """Why a file could not be read, with the line where there is one."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: {error.msg}"
    return str(error) or type(error).__name__
