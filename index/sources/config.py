"""The settings of each kind of source: an entry of `sources:` holds exactly one of KINDS as a key.

sources:
  - package: polars
  - {code: ../whenever, licence: MIT}
  - {docs: ../whenever/docs, exclude: ["changelog.md"]}
  - {notebooks: examples}
  - {lines: library.jsonl.gz, text: [signature, text], id: id, symbol: qualname, licence: MIT}
  - {rows: runs/polars-sft/rows.jsonl, licence: MIT}
"""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Discriminator, Field, Tag

from index.config import Settings

KINDS = ("package", "code", "docs", "notebooks", "lines", "rows")


class Source(Settings):
    """What all sources have: the key that names them in a config and in messages."""

    key: ClassVar[str]

    @property
    def label(self) -> str:
        """The source as messages name it."""
        return f'{self.key} "{getattr(self, self.key)}"'


class PackageSource(Source):
    """An installed package; it is imported, so it must be trusted."""

    key = "package"
    package: str = Field(description="Installed package whose docstrings are indexed.")


class PathSource(Source):
    """What all sources on disk have."""

    name: str = Field(default="", pattern=r"^[\w.-]*$", description="First part of ids; empty: the path's last part.")
    licence: str = Field(default="unknown", description="Licence where the files themselves do not tell it.")

    @property
    def path(self) -> Path:
        """The folder or file that is read."""
        return Path(getattr(self, self.key))

    @property
    def prefix(self) -> str:
        """First part of the ids of its documents."""
        return self.name or self.path.resolve().name.partition(".jsonl")[0]


class TreeSource(PathSource):
    """What all sources that may be folders have."""

    exclude: tuple[str, ...] = Field(
        default=(), description='Relative paths that are left out; "*" stands for any characters, also "/".'
    )


class CodeSource(TreeSource):
    """Python files, read as syntax trees and never imported."""

    key = "code"
    code: Path = Field(description="Source tree, git checkout, or one Python file.")


class TextSource(TreeSource):
    """What documents and notebooks have."""

    max_characters: int = Field(default=1200, ge=200, description="Longer sections are split at paragraphs.")
    skip_unreadable: bool = Field(
        default=False, description="Leave out files that cannot be read, telling which, instead of refusing them."
    )


class DocsSource(TextSource):
    """Markdown and reStructuredText."""

    key = "docs"
    docs: Path = Field(description="Folder of .md, .markdown and .rst files, or one file.")


class NotebooksSource(TextSource):
    """Jupyter notebooks, without their outputs."""

    key = "notebooks"
    notebooks: Path = Field(description="Folder of .ipynb files, or one file.")


class LinesSource(PathSource):
    """One JSON object a line, one document each."""

    key = "lines"
    lines: Path = Field(description="File of JSON lines, plain or .gz.")
    text: str | tuple[str, ...] = Field(description="Key of the text, or several that are joined by line ends.")
    id: str = Field(default="", description="Key of the id; empty: ids are made of the text's hash.")
    symbol: str = Field(default="", description="Key of the symbol; empty: the id stands for it.")


class RowsSource(PathSource):
    """The training rows of a specialist, as stage sft writes them."""

    key = "rows"
    rows: Path = Field(description="rows.jsonl of a run, plain or .gz.")


def kind_of(value: object) -> str | None:
    """The one of KINDS that an entry holds; None when it holds none or several."""
    if isinstance(value, Source):
        return value.key
    kinds = [kind for kind in KINDS if isinstance(value, dict) and kind in value]
    return kinds[0] if len(kinds) == 1 else None


AnySource = Annotated[
    Annotated[PackageSource, Tag("package")]
    | Annotated[CodeSource, Tag("code")]
    | Annotated[DocsSource, Tag("docs")]
    | Annotated[NotebooksSource, Tag("notebooks")]
    | Annotated[LinesSource, Tag("lines")]
    | Annotated[RowsSource, Tag("rows")],
    Discriminator(
        kind_of,
        custom_error_type="source_kind",
        custom_error_message=f"an entry holds exactly one of the keys {', '.join(KINDS)}",
    ),
]
