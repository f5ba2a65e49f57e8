import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from index.errors import CorpusError
from index.sources.config import NotebooksSource
from index.sources.notebooks import notebook_documents
from tests.index.sources.conftest import facts, words, write

CELLS = [
    new_code_cell("import lib"),
    new_markdown_cell('# Guide\n\nSay "hello" → to\tthe \\ world.'),
    new_code_cell("frame = lib.Frame()\nframe", outputs=[new_output("stream", text="cells source [1, 2]\n" * 50)]),
    new_markdown_cell("And how to count:"),
    new_markdown_cell("with *care*."),
    new_code_cell("len(frame)"),
    new_code_cell(""),
    new_code_cell("sum(frame)"),
    new_raw_cell("raw text"),
    new_markdown_cell("## Next\n\nMore."),
]


def notebook(cells: list[Any] = CELLS) -> str:
    """A notebook as Jupyter saves it."""
    return nbformat.writes(new_notebook(cells=cells, metadata={"cells": [{"source": "no cell"}]}))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write(tmp_path / "lib", {"a/guide.ipynb": notebook(), ".ipynb_checkpoints/guide.ipynb": notebook()})


def test_an_explanation_is_one_document_with_the_code_that_follows(tree: Path) -> None:
    """Until the next explanation; below the headings of the cells before. Outputs and raw cells are left out."""
    found = notebook_documents(NotebooksSource(notebooks=tree, licence="MIT"))
    assert [document.text for document in found] == [
        "a/guide\n```python\nimport lib\n```",
        'Guide\nSay "hello" → to\tthe \\ world.\n\n```python\nframe = lib.Frame()\nframe\n```',
        "Guide\nAnd how to count:\n\nwith *care*.\n\n```python\nlen(frame)\n```\n\n```python\nsum(frame)\n```",
        "Guide > Next\nMore.",
    ]
    assert found[0].id == "lib:a/guide.ipynb"
    assert found[1].id == "lib:a/guide.ipynb#Guide"
    assert (found[1].kind, found[1].source, found[1].licence) == ("notebook", "lib", "MIT")


@pytest.mark.parametrize(
    "layout", [{"indent": 1}, {"indent": 4, "ensure_ascii": False}, {"separators": (",", ":")}, {"sort_keys": True}]
)
def test_lines_are_those_of_the_cells_in_the_file(tmp_path: Path, layout: dict[str, Any]) -> None:
    """However its JSON is laid out, and with sources as lists of lines, as Jupyter writes them, or as one text."""
    values = json.loads(notebook())
    values["cells"][1]["source"] = "".join(values["cells"][1]["source"])
    path = tmp_path / "lib.ipynb"
    path.write_text(json.dumps(values, **layout))
    lines = path.read_text().split("\n")
    for document in notebook_documents(NotebooksSource(notebooks=path)):
        held = "\n".join(lines[document.first_line - 1 : document.last_line])
        wanted = json.dumps(document.text.partition("\n")[2], ensure_ascii=layout.get("ensure_ascii", True))
        said = set(words(wanted.replace("\\n", "\n").replace("```python", "")))
        assert said <= set(words(held.replace("\\n", "\n")))
        if layout == {"indent": 1}:
            assert held.startswith('   "source":') or held.lstrip().startswith(("[", '"'))


def test_reading_twice_and_a_new_cell_keep_ids_and_hashes(tree: Path) -> None:
    """A pair of cells more, in the middle of a section."""
    source = NotebooksSource(notebooks=tree)
    assert notebook_documents(source) == notebook_documents(source)
    before = facts(notebook_documents(source))
    added = [*CELLS[:3], new_markdown_cell("Between."), new_code_cell("1"), *CELLS[3:]]
    write(tree, {"a/guide.ipynb": notebook(added)})
    after = facts(notebook_documents(source))
    assert before.items() < after.items()
    assert len(after) == len(before) + 1


def test_a_long_cell_is_split_between_its_lines(tmp_path: Path) -> None:
    """Code keeps its lines, of which Jupyter writes one each; prose has those of its cell."""
    code = "\n".join(f"value_{number} = {number}" for number in range(100))
    prose = "\n\n".join(f"Paragraph {number} is long. " * 8 for number in range(4))
    write(tmp_path, {"a.ipynb": notebook([new_code_cell(code), new_markdown_cell(prose)])})
    found = notebook_documents(NotebooksSource(notebooks=tmp_path, max_characters=400))
    lines = (tmp_path / "a.ipynb").read_text().split("\n")
    assert len(found) > 4
    for document in found:
        held = "\n".join(lines[document.first_line - 1 : document.last_line]).replace("\\n", "\n")
        said = document.text.partition("\n")[2].replace("```python", "")
        assert set(words(said)) <= set(words(held))
    assert sum(document.text.count("value_") for document in found) == 100


def test_an_older_format_is_converted(tmp_path: Path) -> None:
    """Format 3 had worksheets; lines are the whole file's."""
    cells = [
        {"cell_type": "heading", "level": 2, "metadata": {}, "source": "Title"},
        {
            "cell_type": "code",
            "collapsed": False,
            "input": "1 + 1",
            "language": "python",
            "metadata": {},
            "outputs": [],
        },
    ]
    old = {
        "metadata": {"name": ""},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [{"cells": cells, "metadata": {}}],
    }
    write(tmp_path, {"a.ipynb": json.dumps(old, indent=1)})
    (document,) = notebook_documents(NotebooksSource(notebooks=tmp_path))
    assert document.text == "Title\n```python\n1 + 1\n```"
    assert (document.first_line, document.last_line) == (1, len(json.dumps(old, indent=1).split("\n")))


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "{}", "null", '{"nbformat": 4}',
        '{"nbformat": 4, "nbformat_minor": 5, "cells": 3, "metadata": {}}',
        '{"nbformat": 4, "nbformat_minor": 5, "cells": [{"cell_type": "code"}], "metadata": {}}',
        '{"nbformat": 4, "nbformat_minor": 5, "cells": [3], "metadata": {}}',
        '{"nbformat": 9, "cells": []}', "[" * 100_000, b"\xff",
        '{"nbformat": 4, "nbformat_minor": 5, "cells": [{"cell_type": "code", "source": 3}], "metadata": {}}',
    ],
)  # fmt: skip
def test_a_broken_notebook_is_refused_or_left_out_by_name(
    tree: Path, caplog: pytest.LogCaptureFixture, content: str | bytes
) -> None:
    """Whatever is wrong with it, in one line."""
    write(tree, {"broken.ipynb": content})
    with pytest.raises(CorpusError, match=r'file ".*broken.ipynb" is no.*exclude it') as caught:
        notebook_documents(NotebooksSource(notebooks=tree))
    assert "\n" not in str(caught.value)
    assert len(notebook_documents(NotebooksSource(notebooks=tree, skip_unreadable=True))) == 4
    assert 'left out files that cannot be read (1): "broken.ipynb"' in caplog.text


def test_notebooks_without_text_are_refused(tmp_path: Path) -> None:
    """An empty notebook is no mistake of its own, but nothing can be made of it."""
    write(tmp_path, {"a.ipynb": notebook([new_code_cell(" "), new_raw_cell("raw")])})
    with pytest.raises(CorpusError, match="holds no notebook with text or code"):
        notebook_documents(NotebooksSource(notebooks=tmp_path))
