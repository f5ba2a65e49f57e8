"""A package in, the two configs of its specialist out: of stage sft and of its gate, each complete.

A file states the hash of its own settings. One whose settings are not of that hash was changed by hand: it is refused
and never overwritten.
"""

import hashlib
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from index.config import Settings
from training.config import RowSettings, SftConfig, SftSettings
from training.errors import TaskError
from training.gate.config import GateConfig, QuerySet
from training.task_settings import TaskSettings
from training.tasks import TaskSource

TRAINING, GATE, QUERIES = Path("configs/training"), Path("configs/gate"), Path("configs/queries")
# Whose docs stand for what is not the specialist's: the standard library, and what is often installed beside it.
OTHERS = (
    "pandas", "numpy", "asyncio", "calendar", "collections", "configparser", "contextlib", "decimal", "difflib",
    "email", "enum", "http", "inspect", "ipaddress", "itertools", "json", "logging", "pathlib", "random", "re",
    "shutil", "smtplib", "sqlite3", "ssl", "statistics", "subprocess", "tarfile", "tempfile", "threading", "typing",
    "unittest", "urllib", "zipfile",
)  # fmt: skip
QUERIES_PER_PACKAGE = 25
FEW, MANY = 200, 1000  # drafts of tasks
MARK = "# made by `pointsman specialist create` of settings with the hash "


def sft_config(source: TaskSource, name: str, drafts: int, **changes: Any) -> SftConfig:
    """The training config; a package with few drafts of tasks holds fewer methods out and sees its rows more often."""
    settings = TaskSettings(
        package=source.package, preamble=source.preamble, max_per_object=source.max_per_object,
        held_out_share=0.2 if drafts > FEW else 0.1, second_input=source.second_input,
    )  # fmt: skip
    epochs = 1 if drafts > MANY else 2 if drafts > FEW else 3
    steps = changes.pop("max_steps")
    optimiser = SftSettings(epochs=epochs, learning_rate=4e-4, max_length_tokens=560, max_steps=steps)
    return SftConfig(
        name=name, run=Path("runs") / f"{name}-sft", tasks=settings, rows=RowSettings(
            evidence_share=0.3, how_to_share=0.1, max_characters=1200
        ), sft=optimiser, names=names(source), gate=GATE / f"{name}.yaml", **changes,
    )  # fmt: skip


def names(source: TaskSource) -> list[str]:
    """What users call a package: as they import it, as they install it, and the short name that its docs give it."""
    alias = source.preamble.partition(" as ")[2]
    installed = packages_distributions().get(source.package.partition(".")[0], [])
    return list(dict.fromkeys(filter(None, (source.package, *map(str.lower, installed), alias))))


def gate_config(config: SftConfig) -> GateConfig:
    """The gate's config: the tasks against the docs of other installed packages and the written queries that are here.

    One bad event is bounded: nothing is known yet of what lies close to the library, nor of answers.
    """
    own = config.tasks.package.partition(".")[0]
    docs = [name for name in OTHERS if name != own and find_spec(name)]
    lists = [path for path in sorted(QUERIES.glob("*.txt")) if own not in path.stem.split("-")]
    sets = [
        QuerySet(name=f"{config.name} tasks", outcome="in", tasks=config.run / "tasks.jsonl"),
        *(
            QuerySet(name=f"{name} docs", outcome="far", package=name, draw=QUERIES_PER_PACKAGE, named=0.1)
            for name in docs
        ),
        *(QuerySet(name=path.stem, outcome="far", list=path, named=0.1) for path in lists),
        *(
            QuerySet(name=f"stuffed {path.stem}", outcome="far", list=path, stuffed=True)
            for path in lists
            if path.stem in ("general", "sql", "javascript")
        ),
    ]
    output = Path("runs") / f"gate-{config.name}"
    return GateConfig(sets=sets, risks={"out_of_domain": 0.02}, bundle=config.bundle, output=output)


def write_config(path: Path, command: str, settings: Settings, *, brief: bool = False) -> None:
    """Write settings as the config that `command` runs; raises TaskError where the file is somebody's own."""
    values = settings.model_dump(mode="json", exclude_defaults=brief)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    refuse_changed(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(f"# pointsman {command} {path}\n{MARK}{hashed(text)}\n{text}", "utf-8")
    partial.rename(path)


def refuse_changed(path: Path) -> None:
    """Raise TaskError for a config that write_config did not write, or that was changed since."""
    if not path.is_file():
        return
    _, mark, text = (*path.read_text("utf-8").split("\n", 2), "", "")[:3]
    if mark != f"{MARK}{hashed(text)}":
        raise TaskError(
            f'config "{path}" was written or changed by hand: go on with it by its first line, delete it, or give the '
            "specialist another name by --name"
        )


def hashed(text: str) -> str:
    """What stands for settings in their file."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
