"""What a policy is worth in answers: pass rates over the queries to which both models' answers were executed.

gap_closed  (policy - better constant) / (oracle - better constant), the better of always base and always specialist
apgr        RouteLLM's average performance gap recovered (Ong et al., 2024, section 3.3), the specialist as the strong
            model: over all shares of queries sent to it in the order of the score, the mean of (pass rate - base's) /
            (specialist's - base's); only where the specialist's pass rate over these queries is above base's
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from index.calibrate import EXECUTED, Example
from index.scores import bootstrapped, proportion
from training.gate.policies import Policy


def values(policies: Sequence[Policy], held: Sequence[Example], seed: int) -> dict[str, Any]:
    """Each policy's pass rate with what it rescued and lost; nothing when no query was executed."""
    rows = [e for e in held if e.outcome in EXECUTED]
    if not rows:
        return {}
    base = np.array([e.outcome in ("loss", "safe") for e in rows])
    specialist = np.array([e.outcome in ("rescue", "safe") for e in rows])
    constant, best = max(base.mean(), specialist.mean()), (base | specialist).mean()
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
        if specialist.mean() > base.mean() and np.ptp(policy.scores(rows)) > 0:
            one["apgr"] = recovered(policy.scores(rows), base, specialist, seed)
    return found


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
