import json
import re
from pathlib import Path

import pytest

from index.documents import Document
from index.errors import CorpusError
from index.sources.docstrings import doctest_blocks
from index.sources.package import licence_of, package_documents, public_objects, signature_of
from tests.index.sources.conftest import assert_in_place, lines_of


def test_every_public_object_and_every_doctest_block_is_one_document(documents: list[Document]) -> None:
    """Prose and code stand in documents of their own, so that held-out code can be left out alone."""
    kinds = {document.id: document.kind for document in documents}
    assert kinds["toytable:toytable.Table.total"] == "object"
    assert kinds["toytable:toytable.Table.total#0"] == "example"
    assert kinds["toytable:toytable.Table.total#1"] == "example"


def test_a_namespace_property_is_written_as_its_users_write_it(documents: list[Document]) -> None:
    """`Table.text.contains`, not `toytable.text.TextNamespace.contains`, and only once."""
    symbols = [document.symbol for document in documents if document.name == "contains"]
    assert symbols == ["toytable.Table.text.contains"]


def test_private_names_and_objects_without_docstring_are_left_out(documents: list[Document]) -> None:
    """What users cannot or should not call is not evidence."""
    assert not {"_hidden", "silent"} & {document.name for document in documents}


def test_prose_stops_before_the_first_section_and_loses_its_markup(documents: list[Document]) -> None:
    """Directives and roles are reduced to the text a reader sees."""
    total = next(document for document in documents if document.id == "toytable:toytable.Table.total")
    assert total.text == "toytable.Table.total()\nAdd all rows with `sum`."


def test_the_signature_stands_in_the_object_document(documents: list[Document]) -> None:
    """Argument names are what old knowledge gets wrong."""
    concat = next(document for document in documents if document.id == "toytable:toytable.concat")
    assert concat.text.startswith("toytable.concat(left, right, *, how='vertical')")


def test_ids_do_not_change_when_the_package_is_read_again(toytable: str, documents: list[Document]) -> None:
    """An id in a decision can be looked up after a rebuild."""
    assert [document.id for document in package_documents(toytable)] == [document.id for document in documents]


def test_doctest_code_has_no_prompts_and_no_directives(documents: list[Document]) -> None:
    """Evidence is code one can paste."""
    skipped = next(document for document in documents if document.id == "toytable:toytable.Table.total#1")
    assert "Table([]).total()\n" in skipped.text
    assert ">>>" not in skipped.text
    assert "doctest" not in skipped.text


def test_a_malformed_docstring_has_no_blocks() -> None:
    """One broken docstring must not end the reading of a package."""
    assert doctest_blocks(">>> f(\n ... 1)\n  2\n >>>x") == []


def test_polars_is_read_whole_with_its_licence() -> None:
    """The starter domain: more than a thousand objects, among them one behind two namespaces."""
    symbols = {thing.symbol for thing in public_objects("polars")}
    assert len(symbols) > 1500
    assert {"polars.DataFrame.group_by", "polars.Expr.str.contains", "polars.selectors.numeric"} <= symbols
    assert "MIT" in licence_of("polars")


@pytest.mark.parametrize("package", ["no_such_package_here", "toytable.mute"])
def test_a_package_that_gives_nothing_is_refused_by_name(package: str, toytable: str) -> None:
    """A missing package and one without docstrings are told apart from success."""
    with pytest.raises(CorpusError, match=f'"{package}"'):
        public_objects(package)


@pytest.mark.parametrize("package", ["", ".", "../etc", "/etc/passwd", "a..b", "toytable.", "toy table", "polars==2"])
def test_what_no_import_could_name_is_refused_before_it_is_looked_up(package: str) -> None:
    """Python's own functions fail on such names, each with another error."""
    for read in (public_objects, licence_of, package_documents):
        with pytest.raises(CorpusError, match=re.escape(f'"{package}" is no package')):
            read(package)


@pytest.mark.parametrize("package", ["no_such_package_here", "no_such_package_here.inner"])
def test_a_missing_package_is_refused_by_its_whole_name(package: str) -> None:
    """Also one inside another that is missing."""
    with pytest.raises(CorpusError, match=f'"{re.escape(package)}" cannot be imported'):
        package_documents(package)


def test_a_signature_without_addresses_is_the_same_in_every_process() -> None:
    """A default that shows where it lies in memory would change the index with every build."""

    def options(flags: object = object()) -> None: ...

    assert signature_of(options) == "(flags=<object object>)"


def test_a_document_stands_where_it_says(tmp_path: Path, documents: list[Document]) -> None:
    """Paths are relative to where the package is installed; an example has lines of its own."""
    assert_in_place(tmp_path / "site", documents)
    by_id = {document.id: document for document in documents}
    assert by_id["toytable:toytable.Table.text.contains"].path == "toytable/text.py"
    assert lines_of(tmp_path / "site", by_id["toytable:toytable.Table.total#1"]).strip() == (
        ">>> Table([]).total()  # doctest: +SKIP\n        0"
    )


def test_a_compiled_object_has_no_place() -> None:
    """It has no source; its documents are there all the same."""
    compiled = next(document for document in package_documents("itertools") if document.name == "chain")
    assert (compiled.path, compiled.first_line, compiled.last_line) == ("", 0, 0)


def test_the_ids_of_the_starter_bundle_are_those_that_are_read_today() -> None:
    """A shipped index, a decision that names its evidence and a new index must speak of the same things."""
    lines = Path("bundles/polars/index/documents.jsonl").read_text("utf-8").splitlines()
    shipped = {document["id"]: document["text"] for document in map(json.loads, lines)}
    today = {document.id: document.text for document in package_documents("polars")}
    assert shipped.items() <= today.items()
