"""`pointsman index search`: a question in, the nearest documents of an index or a bundle on the terminal."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from index.embed import STARTER_ID, load_encoder
from index.errors import CorpusError
from index.store import load_index

STARTER_BUNDLE = Path("bundles/polars")


def main(query: str, folder: Path | None, count: int) -> None:
    """Print the `count` nearest documents of an index folder, of a bundle, or of the starter bundle."""
    if not query.strip():
        raise CorpusError(f'the query "{query}" is empty: ask for something')
    if (shown := query.encode(errors="backslashreplace").decode()) != query:
        raise CorpusError(f'the query "{shown}" is not UTF-8 text: write it in UTF-8')
    if count < 1:
        raise CorpusError(f'"{count}" documents cannot be shown: ask for 1 or more')
    folder = folder or STARTER_BUNDLE
    index = load_index(folder / "index" if (folder / "index").is_dir() else folder)
    encoder = load_encoder("starter" if index.encoder == STARTER_ID else index.encoder)
    table = Table("cosine", "id", "text")
    for hit in index.search(encoder.encode([query])[0], count):
        table.add_row(f"{hit.score:.3f}", hit.document.id, hit.document.text[:300])
    Console().print(table)
