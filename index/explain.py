"""`pointsman gate explain`: a question in, what the gate of a bundle makes of it on the terminal.

It reads the bundle's index and calibration, no model that answers: what a service would decide with this bundle alone.
"""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from index.bundle import SEARCH_DEPTH, check_encoder, check_files, check_probe, read_manifest
from index.calibration import Calibration, read_calibration
from index.embed import load_encoder
from index.errors import CorpusError
from index.features import Vocabulary
from index.load import load_index
from index.prompt import QUERY_CHARACTERS, choose_evidence
from index.store import Hit

SHOWN_CHARACTERS = 120


def main(query: str, bundle: Path) -> None:
    """Print the features with their weight in the decision, the neighbours, and the decision."""
    if not query.strip():
        raise CorpusError(f'the query "{query}" is empty: ask for something')
    manifest = read_manifest(bundle)
    check_files(bundle, manifest)
    calibration, index = read_calibration(bundle / "calibration.json"), load_index(bundle / "index")
    check_probe(bundle, calibration, index)
    query = query[:QUERY_CHARACTERS]
    encoder = load_encoder(manifest.encoder)
    check_encoder(bundle / "index", index, encoder)
    vector = encoder.encode([query])[0]
    hits = index.search(query, vector, SEARCH_DEPTH)
    features = calibration.seen(Vocabulary(index, manifest.names, manifest.rivals).features(query, hits), vector)
    console = Console()
    console.print(feature_table(calibration, dict(features)))
    console.print(evidence_table(hits))
    probability = calibration.probability(features)
    accepted = probability >= calibration.threshold
    console.print(
        f"[bold]{escape(manifest.name) if accepted else 'base'}[/bold]: probability {probability:.4f}, threshold "
        f"{calibration.threshold:.4f}. It is the probability that {calibration.probability_of} (labels: "
        f"{calibration.labels})."
    )
    for one in calibration.guarantees:
        console.print(f"at most {100 * one.alpha:g} % (but for a chance of {100 * one.delta:.2g} %): {one.means}")


def feature_table(calibration: Calibration, features: dict[str, float]) -> Table:
    """Each feature, its value beside the usual one, and what it adds to the log odds, the weightiest first."""
    parts = calibration.parts(features)
    table = Table("feature", "value", "mean", "adds to the log odds")
    usual = dict(zip(calibration.features, calibration.mean, strict=True))
    for name in sorted(parts, key=lambda name: -abs(parts[name])):
        table.add_row(name, f"{features[name]:.3f}", f"{usual[name]:.3f}", f"{parts[name]:+.2f}")
    table.add_row("intercept", "", "", f"{calibration.intercept:+.2f}")
    return table


def evidence_table(hits: list[Hit]) -> Table:
    """The neighbours as the search ranks them; a star on those that would be shown to the specialist."""
    shown = {hit.document.id for hit in choose_evidence(hits)}
    table = Table("", "cosine", "BM25", "id", "text")
    for hit in hits[:8]:
        text = " ".join(hit.document.text.split())[:SHOWN_CHARACTERS]
        star = "*" if hit.document.id in shown else ""
        table.add_row(star, f"{hit.score:.3f}", f"{hit.lexical:.2f}", escape(hit.document.id), escape(text))
    return table
