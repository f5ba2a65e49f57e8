from pathlib import Path

import pytest

from index.documents import Document
from index.errors import CorpusError
from index.sources.code import code_documents
from index.sources.config import CodeSource
from index.sources.package import package_documents
from tests.index.sources.conftest import assert_in_place, commit, facts, lines_of, write

FRAME = r'''
import sys
raise SystemExit("must not run")


class _Base:
    """Private."""

    def total(self, start: int = 0, /, *more, how="sum", **rest) -> int:
        """Add up."""


class Frame(_Base):
    """
    Rows.

    >>> Frame([1]).total()
    1

    Two rows.

    >>> Frame([1, 2])
    """

    def __init__(self, rows: "list[int]", *, name=None):
        """Make one."""

    @property
    @some.decorator(
        argument=1,
    )
    def size(self) -> int:
        """How many rows."""

    @size.setter
    def size(self, value): ...

    @staticmethod
    def read(path):
        """Read a file."""

    @classmethod
    async def open(cls, path):
        """Open a file."""

    class Row:
        """One row."""

    def _hidden(self):
        """Hidden."""

    def __len__(self):
        """Special."""


def silent(): return "\d"  # an escape that Python warns of


if sys.platform:
    try:
        def either(a): ...
    except ImportError:
        def either(a, b=(1, 2)):
            """Whichever."""


def outer():
    """Outer."""
    def inner():
        """Inner."""
'''
INIT = '''
"""A library."""
from ._frame import *
from ._frame import either as any_of, silent
from os.path import join
from . import public
from .public import helper as _helper
'''
PUBLIC = '"""Public module."""\nfrom lib._frame import outer\nfrom os import path\ndef helper():\n    """Help."""\n'
FILES = {
    "src/lib/__init__.py": INIT,
    "src/lib/_frame.py": FRAME,
    "src/lib/public.py": PUBLIC,
    "src/lib/tests/test_lib.py": 'def test():\n    """Tested."""\n',
    "tests/conftest.py": 'def fixture():\n    """Fixture."""\n',
    "src/lib/test_near.py": 'def near():\n    """Tested."""\n',
    "src/lib/near_test.py": 'def near():\n    """Tested."""\n',
    "setup.py": 'def install():\n    """Installed."""\n',
    "build/lib/lib/__init__.py": 'def stale():\n    """Stale."""\n',
    "src/lib/_vendor/other.py": 'def other():\n    """Other."""\n',
    "src/lib/old.py": 'def old():\n    """Old."""\n    print "Python 2"\n',
    "src/lib/deep.py": "x = " + "(" * 3000 + ")" * 3000,
    "src/lib/latin.py": b'def latin():\n    """caf\xe9"""\n',
    "src/lib/nul.py": b"\0",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write(tmp_path / "project", FILES)


def by_symbol(source: CodeSource) -> dict[str, Document]:
    """The object documents by their symbol."""
    return {d.symbol: d for d in code_documents(source) if d.kind == "object"}


def test_public_objects_are_read_as_their_users_write_them(tree: Path) -> None:
    """Under the shortest path that can be imported: from `lib`, not from `lib._frame`; nothing from elsewhere."""
    assert set(by_symbol(CodeSource(code=tree))) == {
        "lib", "lib.Frame", "lib.Frame.total", "lib.Frame.size", "lib.Frame.read", "lib.Frame.open", "lib.Frame.Row",
        "lib.any_of", "lib.outer", "lib.public", "lib.public.helper",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        ("lib", "lib\nA library."),
        ("lib.Frame", "lib.Frame(rows, *, name=None)\nRows."),
        ("lib.Frame.total", "lib.Frame.total(start=0, /, *more, how='sum', **rest)\nAdd up."),
        ("lib.Frame.size", "lib.Frame.size\nHow many rows."),
        ("lib.Frame.read", "lib.Frame.read(path)\nRead a file."),
        ("lib.Frame.open", "lib.Frame.open(path)\nOpen a file."),
        ("lib.any_of", "lib.any_of(a, b=(1, 2))\nWhichever."),
    ],
)
def test_a_document_holds_signature_and_prose(tree: Path, symbol: str, text: str) -> None:
    """In the same words as an installed package's: without annotations and without `self`."""
    assert by_symbol(CodeSource(code=tree))[symbol].text == text


def test_documents_stand_where_they_say(tree: Path) -> None:
    """Objects with their decorators, examples on their own lines, paths from the tree's root."""
    found = {document.id: document for document in code_documents(CodeSource(code=tree))}
    assert_in_place(tree, found.values())
    assert lines_of(tree, found["project:lib.Frame.size"]).startswith("    @property\n")
    assert lines_of(tree, found["project:lib.Frame#0"]) == "    >>> Frame([1]).total()\n    1"
    assert lines_of(tree, found["project:lib.Frame#1"]) == "    >>> Frame([1, 2])"
    assert found["project:lib.Frame#1"].path == "src/lib/_frame.py"
    assert lines_of(tree, found["project:lib"]) == '"""A library."""'


def test_nothing_is_lost_in_silence(tree: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Folders and files by their name, and files that are not this Python's, with the line."""
    code_documents(CodeSource(code=tree))
    assert 'folders by their name (4): "build", "tests", "src/lib/_vendor", "src/lib/tests"' in caplog.text
    assert 'files by their name (3): "setup.py", "src/lib/near_test.py", "src/lib/test_near.py"' in caplog.text
    assert "cannot read (4)" in caplog.text
    assert '"src/lib/old.py" (line 3: Missing parentheses' in caplog.text
    assert all(name in caplog.text for name in ("deep.py", "latin.py", "nul.py"))


def test_reading_twice_and_unrelated_changes_keep_ids_and_hashes(tree: Path) -> None:
    """A module more, a function above another, and lines that move."""
    source = CodeSource(code=tree)
    assert code_documents(source) == code_documents(source)
    before = facts(code_documents(source))
    write(
        tree,
        {"src/lib/aaa.py": 'def a():\n    """A."""\n', "src/lib/_frame.py": '\ndef new():\n    """New."""\n' + FRAME},
    )
    after = facts(code_documents(source))
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"project:lib.aaa.a", "project:lib.new"}


def test_all_decides_what_is_public(tmp_path: Path) -> None:
    """In every form it is written in, and also for names that are loaded lazily."""
    functions = "".join(f'def {name}():\n    """{name}."""\n' for name in ("a", "b", "c", "d", "_e"))
    write(
        tmp_path / "lib", {"__init__.py": "from lib.m import *\n__all__ = ['a', '_e']\n__all__ += ('b',)\n", "m.py": ""}
    )
    write(
        tmp_path / "lib",
        {"_m.py": functions, "m.py": "if TYPE_CHECKING:\n    from ._m import *\n__all__: list = ['c']"},
    )
    assert set(by_symbol(CodeSource(code=tmp_path / "lib"))) == {"lib.a", "lib.b", "lib.m.c"}


def test_modules_that_import_each_other_end(tmp_path: Path) -> None:
    """Star imports in a circle, a class that is its own base, a namespace that leads back."""
    classes = '''
class _A(_B): """A."""
class _B(_A): """B."""
class C(_A):
    """C."""
    @property
    def up(self) -> "CNamespace":
        """Up."""
class CNamespace:
    """N."""
    @property
    def down(self) -> CNamespace:
        """Down."""
'''
    write(tmp_path / "lib", {"__init__.py": "from .a import *", "a.py": "from .b import *\nfrom . import *"})
    write(tmp_path / "lib", {"b.py": "from .a import *\nfrom .a import nothing" + classes})
    assert set(by_symbol(CodeSource(code=tmp_path / "lib"))) == {"lib.b.C", "lib.b.CNamespace"}


@pytest.mark.parametrize(
    ("path", "symbol"),
    [
        ("src/deep/space/lib/__init__.py", "deep.space.lib.f"),
        ("python/lib/__init__.py", "lib.f"),
        ("lib/sub/mod.py", "lib.sub.mod.f"),
        ("script.py", "script.f"),
    ],
)
def test_a_module_is_named_as_it_is_imported(tmp_path: Path, path: str, symbol: str) -> None:
    """Below `src`, from the outermost package, or from the root."""
    write(tmp_path, {path: 'def f():\n    """F."""\n'})
    assert set(by_symbol(CodeSource(code=tmp_path))) == {symbol}


def test_two_packages_of_one_name_are_both_read(tmp_path: Path) -> None:
    """The second one under its path."""
    write(tmp_path, {f"{name}/lib/__init__.py": 'def f():\n    """F."""\n' for name in ("a", "b")})
    assert set(by_symbol(CodeSource(code=tmp_path))) == {"lib.f", "b.lib.f"}


def test_a_folder_inside_a_package_and_one_file_keep_the_packages_name(tree: Path) -> None:
    """What is read alone is named as in the whole."""
    assert set(by_symbol(CodeSource(code=tree / "src" / "lib" / "public.py"))) == {"lib.public", "lib.public.helper"}


def test_an_installed_package_reads_as_its_source_does(tmp_path: Path, toytable: str) -> None:
    """The same ids, texts and lines, whether it is imported or not."""
    installed, read = (
        {document.id: (document.text, document.first_line, document.last_line) for document in documents}
        for documents in (
            package_documents(toytable),
            code_documents(CodeSource(code=tmp_path / "site" / toytable)),
        )
    )
    assert installed.items() <= read.items()
    assert read.keys() - installed.keys() == {"toytable:toytable", "toytable:toytable.text"}


def test_a_checkout_says_its_commit_and_licence(tree: Path) -> None:
    """What evidence shows as its source can be looked up."""
    write(tree, {"pyproject.toml": '[project]\nlicense = "BSD-3-Clause"\n'})
    head = commit(tree)
    assert {(d.source, d.licence) for d in code_documents(CodeSource(code=tree, licence="MIT"))} == {
        (f"project@{head}", "BSD-3-Clause")
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no file that ends in .py"),
        ({"a.py": "def f(): ..."}, "has no public docstrings"),
        ({"a.py": "print 1"}, "has no public docstrings"),
        ({"_a.py": '"""Private."""'}, "has no public docstrings"),
    ],
)
def test_a_tree_that_gives_nothing_is_refused(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    """And one that does not exist."""
    (tmp_path / "lib").mkdir()
    with pytest.raises(CorpusError, match=rf'code ".*lib" {message}'):
        code_documents(CodeSource(code=write(tmp_path / "lib", files)))
    with pytest.raises(CorpusError, match="is neither a folder nor a file"):
        code_documents(CodeSource(code=tmp_path / "other"))
