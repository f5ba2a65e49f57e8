"""Stage raw_sft: source files in, an adapter that has read them out; no bundle.

sources -> files that pass the filters -> chat rows -> LoRA by TRL. A stage sft may go on from its adapter (`start`).

An instruction model loses by this what it was made for (RISK in training/raw.py), so the config has to say that this is
known. What works against it: answers alone are learnt, by the model's own chat template and in a code block; a low
learning rate; few steps; a stage sft or verified_sft afterwards; `pointsman evaluate` before and after.
"""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from index.config import read_config
from starter import resolve_model
from training.config import RawSftConfig, SftConfig
from training.leak import held_out_statements
from training.raw import RISK, Found, raw_rows, refuse_risk
from training.rows import Row
from training.sft import prepare_tasks
from training.stages.start import RESULT, open_run
from training.trainer.sft import train_adapter


def main(path: Path) -> None:
    """Run the stage from its config file."""
    config = read_config(path, RawSftConfig)
    console = Console(soft_wrap=True)
    console.print(RISK, highlight=False)
    refuse_risk(config)
    open_run(config)
    rows = prepare_rows(config, console)
    result = config.run / RESULT
    if not result.is_file():
        metrics = train_adapter(resolve_model(config.model), rows, config.sft, config.run)
        result.write_text(json.dumps(metrics, indent=2) + "\n")
    console.print(f"adapter written: {config.run / 'adapter'}")


def prepare_rows(config: RawSftConfig, console: Console) -> list[Row]:
    """The training rows, made once a run, with the report of what the filters left out."""
    path = config.run / "rows.jsonl"
    if not path.is_file():
        found = raw_rows(config.sources, config.filters, held_out(config))
        facts = {"files": found.files, "rows": len(found.rows), "dropped": found.dropped, "licences": found.licences}
        (config.run / "filters.json").write_text(json.dumps(facts, indent=2) + "\n")
        console.print(table(found))
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows))
        partial.replace(path)
    lines = map(json.loads, path.read_text().splitlines())
    return [{"prompt": row["prompt"], "completion": row["completion"]} for row in lines]


def held_out(config: RawSftConfig) -> set[str]:
    """The statements of the tasks that another stage holds out, whose tasks are made for it; none without one."""
    if config.held_out is None:
        return set()
    other = read_config(config.held_out, SftConfig)
    open_run(other)
    return held_out_statements(prepare_tasks(other))


def table(found: Found) -> Table:
    """Counts of the files on the terminal."""
    shown = Table("files", "count")
    shown.add_row("read", str(found.files))
    for reason, count in found.dropped.most_common():
        shown.add_row(f"  left out: {reason}", str(count))
    shown.add_row("rows", str(len(found.rows)))
    for licence, count in found.licences.most_common():
        shown.add_row(f"  licence {licence}", str(count))
    return shown
