"""Stage sft: an installed package's doctests in, a served bundle out.

tasks -> documents and index without held-out code -> rows -> LoRA by TRL -> first calibration -> bundle, manifest last.
Every step writes into the run folder and is skipped when its result is there, so a killed run goes on where it was;
the adapter itself continues from its last checkpoint.
"""

import hashlib
import json
import shutil
import subprocess
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from index.bundle import base_facts, load_bundle, write_manifest
from index.config import read_config, read_yaml
from index.embed import Encoder, load_encoder
from index.folder import refuse_foreign, replace_folder
from index.load import load_index
from index.sources.config import PackageSource
from index.sources.read import read_sources
from index.store import Index, make_index
from starter import resolve_model
from training.adversarial import adversarial_rows
from training.checks.contamination import copy_stamp, stamp_result, worded
from training.checks.training import Training, check_training
from training.config import PROJECTIONS, SftConfig
from training.errors import LeakError
from training.evaluate.benchmarks.doctests import task_item
from training.extract import first_block
from training.gate.calibrate import domain_calibration
from training.gate.config import GateConfig
from training.leak import clean_documents, clean_train, held_out_statements, refuse_overlap
from training.raw import statements_in
from training.rows import Row, make_rows
from training.sandbox import Sandbox, SandboxConfig
from training.stages.start import ADAPTER, adapter_of, open_run
from training.tasks import LIMITS, Task, TaskSource, package_tasks, read_tasks, write_tasks
from training.trainer.sft import train_adapter

MARKER = "manifest.json"


def prepare_tasks(config: SftConfig) -> list[Task]:
    """The verified tasks of the package, made once a run."""
    path = config.run / "tasks.jsonl"
    if not path.is_file():
        settings = config.tasks
        source = TaskSource(
            settings.package, settings.preamble, settings.max_per_object, settings.held_out_share, config.sft.seed,
            settings.environment, settings.display, tuple(settings.preload), settings.second_input,
            settings.docs,
        )  # fmt: skip
        write_tasks(path, package_tasks(source))
    return read_tasks(path)


def prepare_index(config: SftConfig, tasks: list[Task], encoder: Encoder) -> Index:
    """The documents of the package and of its prose, without held-out code, embedded once a run."""
    folder = config.run / "index"
    if not (folder / "index.json").is_file():
        sources = (PackageSource(package=config.tasks.package), *config.tasks.docs)
        documents = clean_documents(read_sources(sources), tasks)
        vectors_ND = encoder.encode([document.text for document in documents])
        make_index(documents, vectors_ND, encoder.id, fingerprint=encoder.fingerprint).save(folder)
    return load_index(folder)


def prepare_rows(config: SftConfig, tasks: list[Task], index: Index, encoder: Encoder) -> list[Row]:
    """The training rows; refused when any of them or any indexed document holds held-out code."""
    path = config.run / "rows.jsonl"
    rows = make_rows(clean_train(tasks), index, encoder.encode, config.rows, config.sft.seed)
    rows += misleading_rows(config, clean_train(tasks), index, encoder, config.rows.adversarial_share)
    refuse_overlap([first_block(row["completion"][0]["content"]) for row in rows], index.documents, tasks)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return rows


def refuse_leaking_start(start: Path, tasks: list[Task]) -> None:
    """Raise LeakError when the rows that the start was trained on hold code of the tasks held out here."""
    path = Path(read_yaml(start)["run"]) / "rows.jsonl"
    if not path.is_file():
        raise LeakError(f'what "{start}" was trained on cannot be told, "{path}" is missing: run that stage again')
    statements = held_out_statements(tasks)
    for line in path.read_text().splitlines():
        if found := statements & statements_in(json.loads(line)["completion"][0]["content"]):
            raise LeakError(
                f'stage "{start}" was trained on held-out code "{min(found)[:120]}": give it this stage\'s config as '
                "`held_out`, delete its run folder, and run it again"
            )


def misleading_rows(config: SftConfig, tasks: list[Task], index: Index, encoder: Encoder, share: float) -> list[Row]:
    """The adversarial rows of a share of the training tasks; where it is 0 no sandbox is needed."""
    if not share:
        return []
    made = config.tasks
    short = [task for task in tasks if len(task.instruction) <= config.rows.max_characters]
    preload = list(made.preload or [made.package])
    with Sandbox(SandboxConfig(preload=preload, environment=made.environment, limits=LIMITS)) as sandbox:
        return adversarial_rows(short, index, encoder.encode, sandbox, share, config.sft.seed)


def fit(config: SftConfig, rows: list[Row]) -> Path:
    """Train the adapter, unless the run already holds a finished one; returns its folder."""
    result = config.run / "result.json"
    if not result.is_file():
        start = adapter_of(config.start) if config.start else None
        metrics = train_adapter(resolve_model(config.model), rows, config.sft, config.run, start)
        result.write_text(json.dumps(metrics, indent=2) + "\n")
    stamp_result(config.run)
    return config.run / ADAPTER


def pack(config: SftConfig, run: Path, tasks: list[Task], index: Index, encoder: Encoder) -> Path:
    """Put a run's adapter, the index and a calibration into the bundle folder, whole: built beside it, then renamed."""
    refuse_foreign(config.bundle, MARKER)
    partial = config.bundle.with_name(config.bundle.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(run / ADAPTER, partial / "adapter")
    shutil.copytree(config.run / "index", partial / "index")
    copy_stamp(run, partial)
    labels = read_config(config.gate, GateConfig)
    calibration = domain_calibration(labels, config.names, config.rivals, index, encoder.encode, labels.seed)
    (partial / "calibration.json").write_text(calibration.model_dump_json(indent=2) + "\n")
    write_manifest(partial, manifest_facts(config, run, tasks, encoder))
    load_bundle(partial, base=base_facts(resolve_model(config.model)), encoder=encoder)
    replace_folder(partial, config.bundle, MARKER)
    return config.bundle


def manifest_facts(config: SftConfig, run: Path, tasks: list[Task], encoder: Encoder) -> dict[str, object]:
    """What the manifest states beside the files' hashes."""
    base = base_facts(resolve_model(config.model))
    held_out = [task for task in tasks if task.split == "held_out"]
    names = len({task.name for task in held_out})
    # What was learnt: rows, or where practice judged them the model's own answers to tasks.
    learnt, unit = ("rows", "row") if (run / "rows.jsonl").is_file() else ("samples", "practised task")
    return {
        "name": config.name, "base": base.id, "base_fingerprint": base.fingerprint, "template_hash": base.template_hash,
        "rank": config.sft.rank, "target_modules": list(PROJECTIONS), "encoder": encoder.id,
        "dimension": encoder.dimension,
        "names": config.names, "rivals": config.rivals, "context": config.context,
        "seed": config.sft.seed,
        "data": {
            "source": tasks[0].source, "licence": tasks[0].licence,
            "tasks": file_hash(config.run / "tasks.jsonl"), learnt: file_hash(run / f"{learnt}.jsonl"),
        },
        "contamination": worded(run)
        or f"{len(held_out)} tasks of {names} method names held out; no {unit} and no indexed document "
        "holds a statement of their references, compared as syntax",
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "peft", "faiss-cpu")},
        "git_commit": git_commit(),
    }  # fmt: skip


def file_hash(path: Path) -> str:
    """SHA-256 of a data file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def git_commit() -> str:
    """The commit of the working tree, "unknown" outside a repository and where git is not installed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return answer.stdout.strip() or "unknown"


def make_tasks(path: Path) -> None:
    """The first step alone: the run's tasks, which evaluation reads."""
    config = read_config(path, SftConfig)
    open_run(config)
    tasks = prepare_tasks(config)
    held_out = sum(task.split == "held_out" for task in tasks)
    Console().print(f"{len(tasks)} tasks, {held_out} of them held out: {config.run / 'tasks.jsonl'}")


def main(path: Path) -> None:
    """Run the stage from its config file."""
    config = read_config(path, SftConfig)
    if config.start:
        adapter_of(config.start)
    open_run(config)
    encoder = load_encoder(config.encoder)
    tasks = prepare_tasks(config)
    if config.start:
        refuse_leaking_start(config.start, tasks)
    index = prepare_index(config, tasks, encoder)
    rows = prepare_rows(config, tasks, index, encoder)
    check_training(
        Training(
            config.run, resolve_model(config.model), rows, [task_item(t.id, asdict(t)) for t in clean_train(tasks)],
            config.sft, config.evaluations, config.allow_contaminated, bundle=config.bundle,
        )
    )  # fmt: skip
    fit(config, rows)
    Console().print(f"bundle written: {pack(config, config.run, tasks, index, encoder)}")
