"""`pointsman index search`: a question in, the documents found by meaning and by words on the terminal."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from index.bundle import check_encoder
from index.documents import Document
from index.embed import load_encoder
from index.errors import CorpusError
from index.load import load_index

STARTER_BUNDLE = Path("bundles/polars")


def main(query: str, folder: Path | None, count: int) -> None:
    """Print the `count` best documents of an index folder, of a bundle, or of the starter bundle."""
    if not query.strip():
        raise CorpusError(f'the query "{query}" is empty: ask for something')
    if (shown := query.encode(errors="backslashreplace").decode()) != query:
        raise CorpusError(f'the query "{shown}" is not UTF-8 text: write it in UTF-8')
    if count < 1:
        raise CorpusError(f'"{count}" documents cannot be shown: ask for 1 or more')
    folder = folder or STARTER_BUNDLE
    index = load_index(folder / "index" if (folder / "index").is_dir() else folder)
    encoder = load_encoder(index.encoder)
    check_encoder(folder, index, encoder)
    table = Table("cosine", "BM25", "document", show_lines=True)
    for hit in index.search(query, encoder.encode([query])[0], count):
        found = hit.document.id, where(hit.document), hit.document.text[:300]
        # as Text, because rich would read "list[str]" as a style
        table.add_row(f"{hit.score:.3f}", f"{hit.lexical:.2f}", Text("\n".join(filter(None, found)), overflow="fold"))
    Console().print(table)


def where(document: Document) -> str:
    """path:lines as editors take it; "" where no file is known."""
    lines = f":{document.first_line}-{document.last_line}" if document.first_line else ""
    return f"{document.path}{lines}"
