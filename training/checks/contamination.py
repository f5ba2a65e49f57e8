"""The stamp of a run that was allowed to train on what it will be asked: a file that goes where its adapter goes.

    <run>/contaminated.json      beside <run>/adapter
    <bundle>/contaminated.json   beside <bundle>/adapter

`pointsman evaluate` looks for it beside every adapter that it loads itself, and marks every score of that adapter.
Not covered: adapters that a service has loaded, of which only the bundle's manifest speaks.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.checks.overlap import Hit

FILE = "contaminated.json"


def write_stamp(run: Path, hits: Sequence[Hit]) -> None:
    """State what training has seen; without hits an older statement is taken away."""
    path = run / FILE
    if not hits:
        path.unlink(missing_ok=True)
        return
    items = sorted({hit.item for hit in hits})
    path.write_text(json.dumps({"items": items, "hits": [asdict(hit) for hit in hits]}, indent=1) + "\n")


def read_stamp(folder: Path) -> dict[str, Any] | None:
    """What the stamp in a folder says; None where there is none."""
    path = folder / FILE
    return json.loads(path.read_text()) if path.is_file() else None


def hits_of(folder: Path) -> list[Hit]:
    """The hits that a folder's stamp names."""
    return [Hit(**hit) for hit in (read_stamp(folder) or {"hits": []})["hits"]]


def worded(folder: Path) -> str:
    """The stamp in a sentence; empty where there is none."""
    stamp = read_stamp(folder)
    if stamp is None:
        return ""
    shown = ", ".join(f'"{item}"' for item in stamp["items"][:3])
    return f"CONTAMINATED: trained on {len(stamp['items'])} evaluation items, such as {shown}"


def stamp_result(run: Path) -> None:
    """Put the sentence into the run's result.json, or take it out again."""
    path = run / "result.json"
    facts = {key: value for key, value in json.loads(path.read_text()).items() if key != "contamination"}
    if sentence := worded(run):
        facts["contamination"] = sentence
    path.write_text(json.dumps(facts, indent=2) + "\n")


def copy_stamp(run: Path, folder: Path) -> None:
    """Let the stamp go with the adapter."""
    if (run / FILE).is_file():
        shutil.copyfile(run / FILE, folder / FILE)
