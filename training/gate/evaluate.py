"""`pointsman gate evaluate`: a calibrated bundle and labelled queries in, what its gate is worth out.

Everything but the last two parts is measured on the third of the queries that neither fitted the gate nor chose its
threshold; a bundle that was calibrated on other queries is refused, because its third would be another one.

policies     the gate beside simple rules under the same risks, and beside always, never and the oracle
values       pass rate of the answers that each policy would have given, where both models' answers were executed
changes      share of decisions that flip when a query is said otherwise; acceptance when it asks about a rival
executed     the gate's AUROC within each evaluation whose answers were executed
new_sources  each source of queries against the specialist, left out of fit and threshold and then met
resplits     how often the stated risks hold on random splits
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from index.bundle import Manifest, check_encoder, check_files, read_manifest
from index.calibrate import POPULATION, Example, fit, judged, promise, set_hash, thirds
from index.calibration import GATE_FEATURES, Calibration, Measured, read_calibration
from index.config import read_config
from index.embed import Encoder, load_encoder
from index.errors import CalibrationError
from index.features import Vocabulary
from index.folder import make_folder
from index.load import load_index
from index.scores import SHARES, figures_of, proportion, risk_coverage
from index.store import Index
from machine.facts import hardware, versions
from training.errors import TaskError
from training.gate.calibrate import answer_figures, figures
from training.gate.config import GateConfig
from training.gate.examples import make_examples
from training.gate.page import write_page
from training.gate.perturb import SAME_MEANING, other_api
from training.gate.policies import GATE, Policy, policies
from training.gate.queries import Query, labelled_queries
from training.gate.values import second_stage, values

VERSIONS = ("pointsman", "torch", "sentence-transformers", "faiss-cpu", "bm25s", "scikit-learn", "scipy", "numpy")
PERTURBED = 400
UNKNOWN = "tablefoo"  # on no list of rivals
# Of a table that goes to a file or a pipe.
FILE_WIDTH = 150


@dataclass(frozen=True)
class Gate:
    """A bundle's gate with everything it needs to see a query."""

    manifest: Manifest
    calibration: Calibration
    index: Index
    vocabulary: Vocabulary
    encoder: Encoder

    def examples(self, queries: Sequence[Query]) -> list[Example]:
        """The queries' features."""
        return make_examples(queries, self.index, self.vocabulary, self.encoder.encode)


def open_gate(bundle: Path) -> Gate:
    """Read a bundle's gate, not its adapter."""
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    index = load_index(bundle / "index")
    vocabulary = Vocabulary(index, manifest.names, manifest.rivals)
    encoder = load_encoder(manifest.encoder)
    check_encoder(bundle / "index", index, encoder)
    return Gate(manifest, read_calibration(bundle / "calibration.json"), index, vocabulary, encoder)


def main(path: Path) -> None:
    """Evaluate the gate that a config names; writes results.json and report.html."""
    config = read_config(path, GateConfig)
    make_folder(config.output)
    gate = open_gate(config.bundle)
    queries = labelled_queries(config, gate.manifest.names, gate.manifest.rivals, config.seed)
    examples = gate.examples(queries)
    if set_hash(examples) != gate.calibration.set_hash:
        raise TaskError(
            f'bundle "{config.bundle}" was calibrated on other queries (set "{gate.calibration.set_hash[:12]}", not '
            f'"{set_hash(examples)[:12]}"): run `pointsman gate calibrate {path}` first'
        )
    _, chosen, held = thirds(examples, config.seed)
    compared = policies(gate.calibration, chosen, config.risks, config.delta)
    by_text = {query.text: query for query in queries}
    results = {
        "date": date.today().isoformat(), "hardware": hardware(), "versions": versions(*VERSIONS),
        "config": config.model_dump(mode="json"), "calibration": gate.calibration.model_dump(mode="json"),
        "held": len(held),
        "policies": {policy.name: policy_figures(policy, held, config.seed) for policy in compared},
        "values": values(compared, held, config.seed),
        "executed": executed(compared[0], held, config.seed),
        "second_stage": second_stage(compared[0], gate.calibration, held, config.seed),
        "changes": changes(gate, [by_text[e.query] for e in held], held, config.seed),
        "new_sources": new_sources(examples, config),
        "resplits": resplits(examples, config),
        "curves": {policy.name: curve(policy, held) for policy in compared[:4]},
        "scores": [[e.outcome, e.source, round(float(compared[0].score(e)), 5)] for e in held],
    }  # fmt: skip
    (config.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    write_page(config.output / "report.html", results)
    show(results, config)


def policy_figures(policy: Policy, held: Sequence[Example], seed: int) -> dict[str, dict[str, Any]]:
    """A policy's figures with their intervals; those of a probability for the gate alone."""
    outcomes, scores = np.array([e.outcome for e in held]), policy.scores(held)
    accepted = policy.accepts(held)
    found = figures_of(outcomes, scores, seed)
    for name, kinds in SHARES.items():
        if (among := np.isin(outcomes, kinds)).any():
            found[name] = proportion(accepted[among])
    probability = ("brier", "ece")
    return {name: one.model_dump() for name, one in found.items() if policy.name == GATE or name not in probability}


def executed(gate: Policy, held: Sequence[Example], seed: int) -> dict[str, Any]:
    """AUROC of rescue against loss within each source: over all of them it is also that of telling them apart."""
    rows = [e for e in held if e.outcome in ("rescue", "loss")]
    found = {}
    for source in sorted({e.source for e in rows}):
        among = [e for e in rows if e.source == source]
        figures = figures_of(np.array([e.outcome for e in among]), gate.scores(among), seed)
        if "auroc_execution" in figures:
            found[source] = figures["auroc_execution"].model_dump()
    return found


def curve(policy: Policy, held: Sequence[Example]) -> dict[str, list[float]]:
    """Coverage and risk over the queries that are for or against the specialist."""
    rows = [e for e in held if e.outcome not in ("safe", "hard")]
    bad = np.array([e.outcome in ("near", "far", "loss") for e in rows])
    coverage, risk = risk_coverage(bad, policy.scores(rows))
    return {"coverage": coverage.round(5).tolist(), "risk": risk.round(5).tolist()}


def changes(gate: Gate, queries: Sequence[Query], held: Sequence[Example], seed: int) -> dict[str, Any]:
    """Flips of the decision under each rewording, over all queries and over those for the specialist."""
    draw = random.Random(seed)
    pairs = draw.sample(list(zip(queries, held, strict=True)), min(PERTURBED, len(queries)))
    before = np.array([accepted(gate, example) for _, example in pairs])
    ours = np.array([query.outcome == "in" for query, _ in pairs])
    found: dict[str, Any] = {}
    for name, perturb in SAME_MEANING.items():
        texts = [perturb(query.text, draw) for query, _ in pairs]
        after = np.array([accepted(gate, e) for e in gate.examples(reworded([q for q, _ in pairs], texts))])
        changed = np.array([text != query.text for text, (query, _) in zip(texts, pairs, strict=True)])
        for kind, among in (("", changed), (", in domain", changed & ours)):
            if among.any():
                found[f"flips, {name}{kind}"] = proportion((before != after)[among]).model_dump()
    mine = [query for query, _ in pairs if query.outcome == "in"]
    if mine and gate.manifest.rivals:
        exchange = other_api(gate.manifest.names, gate.manifest.rivals)
        turned = gate.examples(reworded(mine, [exchange(query.text, draw) for query in mine]))
        found["accepted, asked about a rival"] = proportion(np.array([accepted(gate, e) for e in turned])).model_dump()
    if mine:
        exchange = other_api(gate.manifest.names, [UNKNOWN] * len(gate.manifest.names))
        turned = gate.examples(reworded(mine, [exchange(query.text, draw) for query in mine]))
        unknown = np.array([accepted(gate, e) for e in turned])
        found["accepted, asked about a library nobody knows"] = proportion(unknown).model_dump()
    return found


def reworded(queries: Sequence[Query], texts: Sequence[str]) -> list[Query]:
    """The queries with other texts."""
    return [replace(query, text=text) for query, text in zip(queries, texts, strict=True)]


def accepted(gate: Gate, example: Example) -> bool:
    """Whether the specialist would answer."""
    return judged(gate.calibration, example) >= gate.calibration.threshold


def new_sources(examples: Sequence[Example], config: GateConfig) -> dict[str, Any]:
    """Acceptance of each set against the specialist by a gate that saw neither it nor others of its origin.

    Sets of one origin ask the same in other forms (stuffed, about a rival), so they are left out together. Queries for
    the specialist stay, although rivals are asked in their words.
    """
    sets = {one.name: one.origin for one in config.sets if one.outcome != "in"}
    against = [e for e in examples if e.outcome in ("near", "far")]
    found = {}
    for origin in sorted({*sets.values()}):
        family = {name for name, other in sets.items() if other == origin}
        try:
            other = calibrate_quickly([e for e in examples if set_of(e) not in family], config)
        except CalibrationError:
            continue
        for name in sorted(family):
            if rows := [e for e in against if set_of(e) == name]:
                found[name] = proportion(np.array([judged(other, e) >= other.threshold for e in rows])).model_dump()
    return found


def set_of(example: Example) -> str:
    """The set a query comes from: its source without the form, and without whether it names the library."""
    return example.source.partition(",")[0]


def calibrate_quickly(examples: Sequence[Example], config: GateConfig) -> Calibration:
    """Fit and threshold without the figures."""
    fitted, chosen, _ = thirds(examples, config.seed)
    return promise(fit(fitted, GATE_FEATURES, config.seed), chosen, config.risks, config.delta)


def resplits(examples: Sequence[Example], config: GateConfig) -> dict[str, Any]:
    """How often each stated risk holds when the queries that choose the threshold are drawn anew.

    The gate is fitted once, on the first third; the other two are the world. From it each split draws half at random to
    choose a threshold. Two counts: the rate over the half that was not drawn, which has its own chance of being
    unlucky, and the rate over the whole world, which is what the promise is about.
    """
    fitted, chosen, held = thirds(examples, config.seed)
    calibration, world = fit(fitted, GATE_FEATURES, config.seed), [*chosen, *held]
    scores = np.array([judged(calibration, e) for e in world])
    rng = np.random.default_rng(config.seed)
    counts = {event: [0, 0] for event in config.risks}
    together = np.zeros(2, int)
    for _ in range(config.resplits):
        drawn = rng.random(len(world)) < 0.5
        one = promise(
            calibration, [e for e, mine in zip(world, drawn, strict=True) if mine], config.risks, config.delta
        )
        all_hold = np.ones(2, bool)
        for event, alpha in config.risks.items():
            population, bad = POPULATION[event]
            among = np.array([e.outcome in population for e in world])
            met = np.array([e.outcome in bad for e in world]) & (scores >= one.threshold)
            holds = np.array([met[among & ~drawn].mean() <= alpha, met[among].mean() <= alpha])
            counts[event][0] += int(holds[0])
            counts[event][1] += int(holds[1])
            all_hold &= holds
        together += all_hold
    named = {event: tuple(held_counts) for event, held_counts in counts.items()} | {"together": tuple(together)}
    return {
        event: {
            "held on the rest": shares(rest, config.resplits), "held on all": shares(whole, config.resplits),
        }
        for event, (rest, whole) in named.items()
    }  # fmt: skip


def shares(count: int, total: int) -> dict[str, Any]:
    """A count of splits as a rate."""
    return proportion(np.arange(total) < count).model_dump()


def show(results: dict[str, Any], config: GateConfig) -> None:
    """The main figures on the terminal."""
    console = Console() if Console().is_terminal else Console(width=FILE_WIDTH)
    columns = ("auroc_domain", "auroc_near", "auroc_execution", "aurc", "coverage", "false_accept", "false_accept_near",
               "rescued", "lost")  # fmt: skip
    table = Table("policy", *columns)
    for name, found in results["policies"].items():
        table.add_row(name, *(f"{found[column]['value']:.3f}" if column in found else "" for column in columns))
    console.print(table)
    worth = Table("answers of", "pass rate, % (95 %)", "rescued", "lost", "gap to the oracle closed", "APGR")
    for name, one in results["values"].items():
        rate = one["pass_rate"]
        worth.add_row(
            name, f"{100 * rate['value']:.1f} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})",
            str(one["rescued"]), str(one["lost"]), percent(one.get("gap_closed")), percent(one.get("apgr")),
        )  # fmt: skip
    if results["values"]:
        console.print(worth)
    if results["calibration"]["answers"]:
        console.print(answer_figures(Calibration.model_validate(results["calibration"])))
    if results["second_stage"]:
        console.print(doubted(results["second_stage"]))
    for title in ("executed", "changes", "new_sources"):
        if results[title]:
            console.print(figures(title, {name: Measured(**one) for name, one in results[title].items()}))
    for event, one in results["resplits"].items():
        rest, whole = one["held on the rest"]["value"], one["held on all"]["value"]
        console.print(f"{event}: the stated risk holds on {100 * whole:.1f} % of {config.resplits} splits "
                      f"({100 * rest:.1f} % when counted on the undrawn half)")  # fmt: skip
    console.print(f"{config.output / 'report.html'}, results.json", highlight=False)


def doubted(found: list[dict[str, Any]]) -> Table:
    """What a second stage would have changed, for each confidence below which an answer is doubted."""
    table = Table("answers doubted below", "base asked too", "pass rate", "lead over the gate alone")
    for one in found:
        table.add_row(f"{one['below']:g}", percent(one["asked"]), percent(one["pass_rate"]), percent(one["lead"]))
    return table


def percent(one: dict[str, Any] | None) -> str:
    """A figure with its interval."""
    return "" if one is None else f"{one['value']:.3f} ({one['low']:.3f}, {one['high']:.3f})"
