"""What the gate decided about one request, as response headers and as the `pointsman.routing` object."""

import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from index.store import Hit

Reason = Literal[
    "above_threshold", "below_threshold", "ambiguous", "forced", "gate_timeout", "gate_error", "adapter_unavailable"
]


def new_decision_id() -> str:
    """An id no other decision has."""
    return f"dec-{uuid.uuid4().hex}"


@dataclass(frozen=True)
class Candidate:
    """One specialist as the gate saw it: what retrieval found and how far its probability may be trusted.

    `labels` says what the probability was calibrated on: "domain" or "execution".
    """

    name: str
    score: float
    probability: float
    threshold: float
    labels: str
    features: dict[str, float]
    hits: tuple[Hit, ...]

    def body(self) -> dict[str, Any]:
        """The candidate with its evidence texts, for the dry run."""
        return {
            "specialist": self.name,
            "score": self.score,
            "probability": self.probability,
            "threshold": self.threshold,
            "labels": self.labels,
            "features": dict(self.features),
            "evidence": [evidence_body(hit, text=True) for hit in self.hits],
        }


@dataclass(frozen=True)
class SecondOpinion:
    """What came of doubting the first answer: nothing, or a second one by the `other` model, of which one was kept.

    A confidence is the calibrated probability that the answer is right, None where it is not known; `discarded` are the
    token counts of the answer not given.
    """

    confidence: float | None = None
    other: str | None = None
    other_confidence: float | None = None
    kept: str | None = None
    discarded: dict[str, Any] | None = None

    @property
    def given(self) -> float | None:
        """The confidence in the answer that was given."""
        return self.other_confidence if self.other and self.kept == self.other else self.confidence

    def body(self) -> dict[str, Any]:
        """As told beside the routing."""
        return {
            "asked": self.other is not None,
            "confidence": self.confidence,
            "other": self.other,
            "other_confidence": self.other_confidence,
            "kept": self.kept,
            "discarded_usage": self.discarded,
        }


@dataclass(frozen=True)
class Decision:
    """Specialist or base, why, and on what evidence; `candidate` is the best specialist even when base was taken.

    Where a second stage gave the other model's answer, model and specialist are the other's and the reason is still the
    gate's.
    """

    model: str
    specialist: str | None
    reason: Reason
    candidate: Candidate | None = None
    candidates: tuple[Candidate, ...] = ()
    context: bool = False
    gate_ms: float = 0.0
    second: SecondOpinion | None = None
    id: str = field(default_factory=new_decision_id)

    @property
    def route(self) -> Literal["specialist", "base"]:
        """Which kind of model serves."""
        return "base" if self.specialist is None else "specialist"

    @property
    def evidence(self) -> tuple[Hit, ...]:
        """The documents the decision rests on."""
        return self.candidate.hits if self.candidate else ()

    def headers(self) -> dict[str, str]:
        """The decision as headers; one without a value (no score, no adapter) is left out."""
        confidence = self.second.given if self.second else None
        numbers = (
            {
                "x-pointsman-score": f"{self.candidate.score:.4f}",
                "x-pointsman-probability": f"{self.candidate.probability:.4f}",
                "x-pointsman-threshold": f"{self.candidate.threshold:.4f}",
            }
            if self.candidate
            else {}
        )
        return {
            "x-pointsman-decision-id": self.id,
            "x-pointsman-route": self.route,
            "x-pointsman-reason": self.reason,
            **numbers,
            **({"x-pointsman-confidence": f"{confidence:.4f}"} if confidence is not None else {}),
            "x-pointsman-gate-ms": f"{self.gate_ms:.2f}",
            **({"x-adapter-id": self.specialist} if self.specialist else {}),
        }

    def body(self) -> dict[str, Any]:
        """The `pointsman` object of an answer."""
        return {"routing": self.routing()}

    def routing(self) -> dict[str, Any]:
        """The decision with evidence ids; texts and features are left to the dry run."""
        best = self.candidate
        return {
            "decision_id": self.id,
            "route": self.route,
            "model": self.model,
            "specialist": self.specialist,
            "candidate": best.name if best else None,
            "reason": self.reason,
            "score": best.score if best else None,
            "probability": best.probability if best else None,
            "threshold": best.threshold if best else None,
            "labels": best.labels if best else None,
            "evidence": [evidence_body(hit) for hit in self.evidence],
            "context": self.context,
            "gate_ms": round(self.gate_ms, 3),
            **({"second_stage": self.second.body()} if self.second else {}),
        }

    def explanation(self) -> dict[str, Any]:
        """Everything the gate saw: the dry run's answer."""
        features = dict(self.candidate.features) if self.candidate else {}
        return self.routing() | {
            "features": features,
            "evidence": [evidence_body(hit, text=True) for hit in self.evidence],
            "candidates": [candidate.body() for candidate in self.candidates],
        }


def evidence_body(hit: Hit, *, text: bool = False) -> dict[str, Any]:
    """One retrieved document by id, score and source, with its text and licence when asked for."""
    document = hit.document
    short = {"id": document.id, "score": hit.score, "source": document.source}
    return short | {"licence": document.licence, "text": document.text} if text else short
