"""`pointsman gate calibrate`: labelled queries in, the bundle with a new calibration out, whole or not at all."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table

from index.answers import calibrate_answers
from index.bundle import Manifest, check_encoder, check_files, read_manifest, write_manifest
from index.calibrate import EXECUTED, Example, calibrate
from index.calibration import GATE_FEATURES, AnswerCalibration, Calibration, Measured, Route
from index.config import read_config
from index.embed import load_encoder
from index.errors import CalibrationError
from index.features import Vocabulary
from index.folder import replace_folder
from index.load import load_index
from index.store import Index
from training.gate.config import GateConfig, LabelSettings
from training.gate.examples import make_examples
from training.gate.queries import labelled_queries
from training.rows import Encode

MARKER = "manifest.json"


def main(path: Path) -> None:
    """Calibrate the bundle that a config names."""
    config = read_config(path, GateConfig)
    manifest = read_manifest(config.bundle)
    check_files(config.bundle, manifest)
    index = load_index(config.bundle / "index")
    queries = labelled_queries(config, manifest.names, manifest.rivals, config.seed)
    vocabulary = Vocabulary(index, manifest.names, manifest.rivals)
    encoder = load_encoder(manifest.encoder)
    check_encoder(config.bundle / "index", index, encoder)
    examples = make_examples(queries, index, vocabulary, encoder.encode)
    calibration = calibrate(examples, GATE_FEATURES, risks=config.risks, delta=config.delta, seed=config.seed)
    whole = calibration.model_copy(update={"answers": answer_calibrations(examples, config.seed)})
    repack(config.bundle, manifest, whole)
    show(whole)


def answer_calibrations(examples: Sequence[Example], seed: int) -> dict[Route, AnswerCalibration]:
    """The confidence in each model's executed answers; what is left out is said on the terminal."""
    executed, console = [e for e in examples if e.outcome in EXECUTED], Console(soft_wrap=True)
    found: dict[Route, AnswerCalibration] = {}
    for route in get_args(Route) if executed else ():
        if silent := sum(route not in e.logprobs for e in executed):
            console.print(
                f'"{silent}" executed answers of {route} are empty or without log-probabilities, and left out of its '
                "confidence: evaluate with `logprobs: true`"
            )
        try:
            found[route] = calibrate_answers(examples, route, seed)
        except CalibrationError as error:
            console.print(f"no confidence: {error}")
    return found


def domain_calibration(
    settings: LabelSettings, names: Sequence[str], rivals: Sequence[str], index: Index, encode: Encode, seed: int
) -> Calibration:
    """A new bundle's first calibration: on domains alone, since nothing it answers was executed yet."""
    domains = LabelSettings.model_validate(
        {
            "sets": settings.sets,
            "delta": settings.delta,
            "risks": {e: a for e, a in settings.risks.items() if e != "loss"},
        }
    )
    queries = labelled_queries(domains, names, rivals, seed)
    examples = make_examples(queries, index, Vocabulary(index, names, rivals), encode)
    return calibrate(examples, GATE_FEATURES, risks=domains.risks, delta=domains.delta, seed=seed)


def repack(bundle: Path, manifest: Manifest, calibration: Calibration) -> None:
    """Put the calibration into the bundle: a copy with a new manifest takes its place."""
    partial = bundle.with_name(bundle.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(bundle, partial)
    (partial / MARKER).unlink()
    (partial / "calibration.json").write_text(calibration.model_dump_json(indent=2) + "\n")
    write_manifest(partial, manifest.model_dump(exclude={"files", "schema_version"}))
    replace_folder(partial, bundle, MARKER)


def show(calibration: Calibration) -> None:
    """The threshold, what it promises, and what was measured, on the terminal."""
    console = Console()
    counts = ", ".join(f"{count} {outcome}" for outcome, count in calibration.queries.items())
    console.print(f"threshold {calibration.threshold:.4f} on labels of {calibration.labels}: {counts}")
    for one in calibration.guarantees:
        console.print(
            f"at most {100 * one.alpha:g} %, with probability {1 - one.delta:.4g}: {one.means} "
            f"({one.queries} queries, {one.threshold:.4f})"
        )
    console.print(figures("measured on the third that chose nothing", calibration.metrics))
    console.print(figures("accepted, of each source", calibration.false_accept_by_source))
    if calibration.answers:
        console.print(answer_figures(calibration))


def answer_figures(calibration: Calibration) -> Table:
    """How far the confidence in answers can be trusted, of each model."""
    found = {f"{route}, {name}": one for route, a in calibration.answers.items() for name, one in a.metrics.items()}
    return figures("confidence in an answer", found)


def figures(title: str, measured: Mapping[str, Measured]) -> Table:
    """Figures with their intervals."""
    table = Table(title, "value", "95 %", "queries")
    for name, one in measured.items():
        table.add_row(name, f"{one.value:.4f}", f"{one.low:.4f} to {one.high:.4f}", str(one.rows))
    return table
