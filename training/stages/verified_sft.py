"""Stage verified_sft: a specialist answers its own training questions, and learns from what execution accepts.

problems -> answers of several checkpoints at several temperatures -> those that pass, each program once, few a problem
-> rows -> the start's adapter goes on -> bundle. Rejection-sampling fine-tuning (Yuan et al., 2023, arXiv 2308.01825,
section 3.3): what helps is the number of distinct correct programs, not of samples.

Every step writes into the run folder and is skipped where its result is there. Answers and grades are those of
`pointsman evaluate` and as resumable: asked once, graded once.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from index.config import read_config
from index.embed import CachedEncoder, Encoder, load_encoder
from starter import resolve_model
from training.checks.contamination import stamp_result
from training.checks.grading import grading_gate
from training.checks.rows import read_rows
from training.checks.training import Training, check_training
from training.checks.verdicts import pass_gates
from training.evaluate.answers import Answerer
from training.evaluate.config import IDLE, Condition, Decoding, OfflineSettings, sandbox_of
from training.evaluate.load import fingerprint
from training.evaluate.measure import Bench, Cell, measure, questions_of
from training.evaluate.offline import BASE, Offline, for_groups
from training.evaluate.run import alone, progress
from training.extract import first_block
from training.leak import clean_train, held_out_statements, refuse_overlap
from training.rows import Row, chat_row, make_rows
from training.sandbox import Sandbox
from training.sft import misleading_rows, pack
from training.stages.config import VerifiedConfig
from training.stages.problems import Problems, load_problems
from training.stages.selection import Sample, Selection, chosen
from training.stages.start import Start, open_run, start_of
from training.stages.yields import report, table
from training.trainer.sft import train_adapter

SAMPLES, YIELD, ROWS, RESULT = "samples", "yield.json", "rows.jsonl", "result.json"


def main(path: Path) -> None:
    """Run the stage from its config file."""
    config = read_config(path, VerifiedConfig)
    start = start_of(config.start)
    open_run(config)
    with alone(config.run):
        encoder = CachedEncoder(load_encoder(start.home.encoder))
        model, problems = resolve_model(start.home.model), load_all(config, start, encoder)
        pass_gates(config.run, [grading_gate(one) for one in problems])
        rows = prepare_rows(config, start, encoder, problems)
        items = [item for one in problems for item in one.items]
        check_training(
            Training(
                config.run, model, rows, items, config.sft, config.evaluations, config.allow_contaminated,
                start.run if config.go_on else None, start.home.bundle,
            )
        )  # fmt: skip
        result = config.run / RESULT
        if not result.is_file():
            metrics = train_adapter(model, rows, config.sft, config.run, start.adapter if config.go_on else None)
            result.write_text(json.dumps(metrics, indent=2) + "\n")
        stamp_result(config.run)
        if config.bundle:
            home = start.home.model_copy(update={"bundle": config.bundle})
            packed = pack(home, config.run, start.tasks(), start.index(), encoder)
            Console().print(f"bundle written: {packed}")


def load_all(config: VerifiedConfig, start: Start, encoder: Encoder) -> list[Problems]:
    """The problems of every source."""
    return [load_problems(one, start, encoder.encode, config.seed, IDLE) for one in config.problems]


def prepare_rows(config: VerifiedConfig, start: Start, encoder: Encoder, problems: Sequence[Problems]) -> list[Row]:
    """The training rows, made once a run, with the report of what the samples yielded."""
    path = config.run / ROWS
    if path.is_file():
        return read_rows(path)
    tasks, index = start.tasks(), start.index()
    samples = sampled(config, start, problems)
    held_out = held_out_statements(tasks)
    selections = {one.name: chosen(samples[one.name], config.selection, held_out) for one in problems}
    found = report(selections)
    (config.run / YIELD).write_text(json.dumps(found, indent=1) + "\n")
    Console().print(table(found))
    solved = {id_ for one in selections.values() for id_ in one.programs}
    left = {"none": [], "unsolved": [t for t in clean_train(tasks) if t.id not in solved], "all": clean_train(tasks)}
    rows = [
        *verified_rows(problems, selections),
        *make_rows(left[config.references], index, encoder.encode, start.home.rows, config.seed),
        *misleading_rows(start.home, clean_train(tasks), index, encoder, config.adversarial_share),
    ]
    refuse_overlap([first_block(row["completion"][0]["content"]) for row in rows], index.documents, tasks)
    partial_path = path.with_suffix(".partial")
    partial_path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    partial_path.replace(path)
    return rows


def verified_rows(problems: Sequence[Problems], selections: dict[str, Selection]) -> Iterator[Row]:
    """A row for each program that was chosen."""
    for one in problems:
        for item in one.items:
            for program in selections[one.name].programs.get(item.id, ()):
                yield chat_row([{"role": "user", "content": item.prompt}], program)


def sampled(config: VerifiedConfig, start: Start, problems: Sequence[Problems]) -> dict[str, list[Sample]]:
    """The graded samples of each source of problems."""
    adapters = {name: start_of(path).adapter for name, path in config.checkpoints.items()}
    settings = OfflineSettings(
        model=start.home.model, adapters=adapters, max_model_len=config.max_model_len, vllm_args=for_groups()
    )
    offline = Offline(settings)
    try:
        with progress() as bar:
            return {one.name: samples_of(config, one, offline, bar) for one in problems}
    finally:
        offline.close()


def samples_of(config: VerifiedConfig, problems: Problems, answerer: Answerer, bar: Progress) -> list[Sample]:
    """Every sample of one source of problems, by every checkpoint at every temperature."""
    found: list[Sample] = []
    with Sandbox(sandbox_of(problems.settings)) as sandbox:
        bench = Bench(problems.settings, problems.items, fingerprint(problems.items), sandbox)
        for model in (*config.checkpoints, *([BASE] if config.base else [])):
            for decoding in config.decodings:
                condition = Condition(label=model, model=model, max_tokens=config.max_tokens)
                task = bar.add_task(
                    f"{problems.name} {model} {decoding.label}", total=len(problems.items) * decoding.samples
                )
                advance = partial(bar.advance, task)
                found += samples_in(
                    measure(bench, condition, decoding, answerer, config.run / SAMPLES, advance), decoding
                )
    return found


def samples_in(cell: Cell, decoding: Decoding) -> Iterator[Sample]:
    """A cell's answers with their verdicts."""
    grades = {(g.item, g.sample): g.grade for graded in cell.samples.values() for g in graded}
    for item, question in questions_of(cell.bench, cell.way):
        grade, answer = grades[item.id, question.sample], cell.answers[question.key]
        yield Sample(item.id, answer.text, grade.passed, grade.counts, answer.model, decoding.label)
