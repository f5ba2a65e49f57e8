"""`pointsman specialist create`: an installed package's name in, a bundle that the service can load out.

Two complete configs are derived from the package (training/derive.py), and stage sft runs from them. What makes a
specialist impossible is refused before anything is trained: no package, no doctest that runs, too few methods or
queries for a gate. The same command again goes on where a killed one was.

Not covered: rivals of the library, its prose beside the docstrings, queries close to it; write them into the configs.
"""

import json
import re
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from rich.console import Console
from transformers import AutoTokenizer

from index.calibrate import queries_needed
from index.embed import load_encoder
from index.folder import refuse_foreign
from index.sources.package import public_objects
from starter import resolve_model
from training.config import SftConfig
from training.derive import TRAINING, gate_config, refuse_changed, sft_config, write_config
from training.errors import TaskError
from training.estimate import duration_s
from training.gate.config import GateConfig
from training.gate.queries import labelled_queries
from training.leak import clean_train
from training.preamble import all_drafts, with_preamble
from training.rows import Row
from training.sft import MARKER, main, prepare_index, prepare_rows, prepare_tasks
from training.stages.start import open_run
from training.tasks import Task, TaskSource
from training.trainer.sft import length

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
METHODS_NEEDED = 15  # calibration splits them in three and fits on five


def create(
    package: str,
    *,
    name: str | None = None,
    model: str = "starter",
    encoder: str = "starter:onnx-int8:128",
    output: Path | None = None,
    steps: int | None = None,
    dry_run: bool = False,
) -> None:
    """Make a specialist of a package, or with `dry_run` its tasks and rows alone."""
    console = Console(soft_wrap=True)
    name = name or package.lower().replace("_", "-").replace(".", "-")
    path = TRAINING / f"{checked(name)}-sft.yaml"
    output = output or Path("bundles") / name
    refuse_foreign(output, MARKER)
    refuse_changed(path)
    things = public_objects(package)
    base = resolve_model(model)
    source = with_preamble(TaskSource(package, "", 3, 0.0, 0, {}, "", (), "literals"), things)
    config = sft_config(
        source, name, len(all_drafts(things, source)), model=model, encoder=encoder, bundle=output,
        max_steps=steps or -1,
    )  # fmt: skip
    gate = gate_config(config)
    write_config(path, "train sft", config)
    write_config(config.gate, "gate evaluate", gate, brief=True)
    console.print(f"configs written: {path}, {config.gate}")
    tasks, rows = prepared(config)
    console.print(told(config, base, tasks, rows))
    refuse_too_few(config, gate, tasks)
    if dry_run:
        console.print("nothing was trained; without --dry-run the same command goes on from here")
        return
    main(path)
    console.print(f"to serve it, put this line under `bundles:` of the service's config:\n  - {config.bundle}")


def checked(name: str) -> str:
    """The name; raises TaskError when no bundle may be called so."""
    if not NAME.fullmatch(name):
        raise TaskError(
            f'"{name}" is no bundle\'s name: give one of at most 41 small letters, digits and hyphens by --name'
        )
    return name


def prepared(config: SftConfig) -> tuple[list[Task], list[Row]]:
    """Tasks and rows of the run, made once."""
    forget_training(config)
    open_run(config)
    tasks = prepare_tasks(config)
    encoder = load_encoder(config.encoder)
    return tasks, prepare_rows(config, tasks, prepare_index(config, tasks, encoder), encoder)


def forget_training(config: SftConfig) -> None:
    """Let a run in which nothing was trained yet, such as a dry one, go on with another base or other steps."""
    path = config.run / "config.json"
    if not path.is_file() or (config.run / "result.json").is_file() or any(config.run.glob("checkpoint-*")):
        return
    earlier, now = (json.loads(text) for text in (path.read_text(), config.model_dump_json()))
    if all(earlier.get(key) == now[key] for key in ("encoder", "tasks", "rows")):
        path.unlink()


def refuse_too_few(config: SftConfig, gate: GateConfig, tasks: Sequence[Task]) -> None:
    """Raise TaskError when the gate could not be calibrated after hours of training."""
    methods = len({task.name for task in clean_train(tasks)})
    if methods < METHODS_NEEDED:
        raise TaskError(
            f'package "{config.tasks.package}" gives tasks of "{methods}" methods to train on, and its gate needs '
            f"{METHODS_NEEDED}: choose a larger package, or add `docs` with doctests to `tasks` of a config"
        )
    queries = labelled_queries(gate, config.names, config.rivals, gate.seed)
    others = sum(query.outcome == "far" for query in queries)
    needed = 3 * queries_needed(gate.risks["out_of_domain"], gate.delta)
    if others < needed:
        raise TaskError(
            f'"{others}" queries about something else are too few for the gate, which needs {needed}: install packages '
            f'with docs, or add `sets` to "{config.gate}" and run `pointsman train sft`'
        )


def told(config: SftConfig, base: Path, tasks: Sequence[Task], rows: Sequence[Row]) -> str:
    """What there is to train on and how long it may take."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokens = [n for row in rows if (n := length(tokenizer, row)) <= config.sft.max_length_tokens]
    steps = ceil(len(tokens) / config.sft.batch_rows) * config.sft.epochs
    share = min(1.0, config.sft.max_steps / steps) if config.sft.max_steps > 0 else 1.0
    trained = sum(tokens) * config.sft.epochs * share
    held_out = sum(task.split == "held_out" for task in tasks)
    tell = sum(task.outcome.tells for task in tasks)
    return (
        f"{len(tasks)} tasks after `{config.tasks.preamble}`: {held_out} held out, {tell} tell answers apart\n"
        f"{len(tokens)} rows of {sum(tokens)} tokens, {steps * share:.0f} steps on {trained:.0f} tokens: "
        f"about {max(1, duration_s(base, trained) / 60):.0f} min on this machine's CPU"
    )
