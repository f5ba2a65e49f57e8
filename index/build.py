"""`pointsman index build`: an installed package in, an index folder out, whole or not at all."""

import shutil
from pathlib import Path

from pydantic import Field
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from index.config import Settings, read_config
from index.documents import Document, package_documents
from index.embed import Encoder, load_encoder
from index.folder import make_folder, refuse_foreign, replace_folder
from index.store import Index, make_index

MARKER = "index.json"


class IndexConfig(Settings):
    """configs/index/*.yaml."""

    package: str = Field(description="Installed package whose docstrings are indexed.")
    encoder: str = Field(default="starter", description='"starter", a local folder, or a Hugging Face id.')
    output: Path = Field(description="Folder of the finished index.")


def embedded(documents: list[Document], encoder: Encoder) -> Index:
    """An index of the documents, with a progress bar while they are embedded."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("embedding", total=len(documents))
        vectors_ND = encoder.encode([d.text for d in documents], lambda done: bar.advance(task, done))
    return make_index(documents, vectors_ND, encoder.id)


def main(path: Path) -> None:
    """Build an index from its config; the folder appears whole or not at all."""
    config = read_config(path, IndexConfig)
    refuse_foreign(config.output, MARKER)
    documents = package_documents(config.package)
    partial = config.output.with_name(config.output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial.parent)
    embedded(documents, load_encoder(config.encoder)).save(partial)
    replace_folder(partial, config.output, MARKER)
    Console().print(f"{len(documents)} documents of {documents[0].source} in {config.output}")
