"""What a policy is worth in answers: pass rates over the queries to which both models' answers were executed.

gap_closed  (policy - better constant) / (oracle - better constant), the better of always base and always specialist
apgr        RouteLLM's average performance gap recovered (Ong et al., 2024, section 3.3), the specialist as the strong
            model: over all shares of queries sent to it in the order of the score, the mean of (pass rate - base's) /
            (specialist's - base's); only where the 95 % interval of that difference lies above 0, or it is noise

A second stage, which asks base too where it doubts the specialist's answer, is played through on the same answers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from index.calibrate import EXECUTED, Example
from index.calibration import Calibration, Route
from index.confidence import answer_features
from index.scores import bootstrapped, proportion
from training.gate.policies import Policy

DOUBTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def values(policies: Sequence[Policy], held: Sequence[Example], seed: int) -> dict[str, Any]:
    """Each policy's pass rate with what it rescued and lost; nothing when no query was executed."""
    rows = [e for e in held if e.outcome in EXECUTED]
    if not rows:
        return {}
    base = np.array([e.outcome in ("loss", "safe") for e in rows])
    specialist = np.array([e.outcome in ("rescue", "safe") for e in rows])
    constant, best = max(base.mean(), specialist.mean()), (base | specialist).mean()
    stronger = lead(specialist, base, seed)["low"] > 0
    found = {}
    for policy in policies:
        accepted = policy.accepts(rows)
        passes = np.where(accepted, specialist, base)
        found[policy.name] = one = {
            "pass_rate": proportion(passes).model_dump(),
            "rescued": int((accepted & specialist & ~base).sum()), "lost": int((accepted & base & ~specialist).sum()),
        }  # fmt: skip
        if best > constant:
            gain = passes.astype(float)
            one["gap_closed"] = closed(gain, base, specialist, seed)
        if stronger and np.ptp(policy.scores(rows)) > 0:
            one["apgr"] = recovered(policy.scores(rows), base, specialist, seed)
    return found


def second_stage(gate: Policy, calibration: Calibration, held: Sequence[Example], seed: int) -> list[dict[str, Any]]:
    """For each of DOUBTS: the pass rate with a second stage below it, its lead over the gate alone, and whom it asks.

    Nothing where a confidence is not stated; queries without log-probabilities of both answers are left out.
    """
    rows = [e for e in held if e.outcome in EXECUTED and e.logprobs.keys() == {"base", "specialist"}]
    if calibration.answers.keys() != {"base", "specialist"} or not rows:
        return []
    base = np.array([e.outcome in ("loss", "safe") for e in rows])
    specialist = np.array([e.outcome in ("rescue", "safe") for e in rows])
    sure = {route: confidences(calibration, route, rows) for route in calibration.answers}
    accepted = gate.accepts(rows)
    alone = np.where(accepted, specialist, base)
    found = []
    for below in DOUBTS:
        asked = accepted & (sure["specialist"] < below)
        passes = np.where(asked & (sure["base"] > sure["specialist"]), base, alone)
        found.append(
            {
                "below": below, "asked": proportion(asked).model_dump(), "pass_rate": proportion(passes).model_dump(),
                "lead": lead(passes, alone, seed),
            }
        )  # fmt: skip
    return found


def confidences(calibration: Calibration, route: Route, rows: Sequence[Example]) -> np.ndarray:
    """The stated probability that each answer of one model is right, (n,)."""
    stated = calibration.answers[route]
    return np.array([stated.probability(answer_features(e.logprobs[route])) for e in rows])


def lead(passes: np.ndarray, others: np.ndarray, seed: int) -> dict[str, Any]:
    """The paired difference of two pass rates, resampled over queries."""
    gains = passes.astype(float) - others

    def mean(_: np.ndarray, resampled: np.ndarray) -> float:
        return float(resampled.mean())

    return bootstrapped(mean, np.zeros(len(gains), bool), gains, seed).model_dump()


def closed(passes: np.ndarray, base: np.ndarray, specialist: np.ndarray, seed: int) -> dict[str, Any]:
    """The share of the oracle's lead over the better constant policy, resampled over queries."""

    def share(_: np.ndarray, rows: np.ndarray) -> float:
        rows = rows.astype(int)
        constant = max(base[rows].mean(), specialist[rows].mean())
        lead = (base | specialist)[rows].mean() - constant
        return float((passes[rows].mean() - constant) / lead) if lead > 0 else 0.0

    return bootstrapped(share, np.zeros(len(passes), bool), np.arange(len(passes)), seed).model_dump()


def recovered(scores: np.ndarray, base: np.ndarray, specialist: np.ndarray, seed: int) -> dict[str, Any]:
    """APGR, resampled over queries."""

    def average(_: np.ndarray, rows: np.ndarray) -> float:
        rows = rows.astype(int)
        order = rows[np.argsort(-scores[rows], kind="stable")]
        gains = np.cumsum(specialist[order].astype(float) - base[order]) / len(order)
        gap = gains[-1]
        return float(np.mean(np.append(0.0, gains)) / gap) if gap > 0 else 0.0

    return bootstrapped(average, np.zeros(len(scores), bool), np.arange(len(scores)), seed).model_dump()
