"""What is told before training: counts of real tokens, estimates, suggestions that can be pasted into a config."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from transformers import AutoTokenizer

import pointsman
from training.config import RawSftConfig, SftSettings
from training.estimate import MIB, Base, Lengths, base_of, disk_of, lengths_of, memory_of, work_of
from training.rows import chat_row
from training.stages.config import VerifiedConfig
from training.stages.prepared import Prepared
from training.suggest import as_yaml, learning_rate, rank_for, suggestions
from training.trainer.sft import length

# The starter's: Qwen2.5-Coder-0.5B.
LAYER = ((896, 896), (128, 896), (128, 896), (896, 896), (4864, 896), (4864, 896), (896, 4864))
STARTER = Base(494_032_768, LAYER * 24, 24, 896, 4864, 151_936)


def lengths(*totals: int) -> Lengths:
    """Rows of which half are prompt."""
    total_N = np.array(totals)
    return Lengths(total_N // 2, total_N - total_N // 2)


def prepared(stage: str = "sft", **changes: Any) -> Prepared:
    """A stage with rows, of which only the settings are looked at."""
    config = RawSftConfig(run=Path("run"), sources=[{"package": "x"}], sft=SftSettings(**changes))  # type: ignore[list-item]
    return Prepared(stage, Path("x.yaml"), config, Path("model"), [])


def test_steps_and_tokens_follow_from_lengths_and_settings() -> None:
    """Rows that are too long count nowhere; packs are as many as their tokens fill."""
    rows = lengths(*[100] * 10, 500)
    assert work_of(rows, SftSettings(epochs=2, batch_rows=4, max_length_tokens=200)) == (
        type(work_of(rows, SftSettings()))
    )(400, 6, 2000)
    assert work_of(rows, SftSettings(epochs=2, batch_rows=2, accumulate=2, max_length_tokens=200)).steps == 6
    packed = work_of(rows, SftSettings(epochs=1, batch_rows=1, packing="bfd", max_length_tokens=200))
    assert (packed.steps, packed.batch_tokens) == (5, 200)
    assert work_of(rows, SftSettings(epochs=1, max_steps=1, batch_rows=5, max_length_tokens=200)).tokens == 500
    assert work_of(rows, SftSettings(max_length_tokens=16)).steps == 0


def test_memory_is_what_was_measured() -> None:
    """The starter, rank 32, one pack of 1,024 tokens: 5,050 MiB; four bits take a quarter of the projections."""
    settings = SftSettings(rank=32)
    assert sum(memory_of(STARTER, settings, 1024).values()) / MIB == pytest.approx(5050, rel=0.1)
    four = memory_of(STARTER, SftSettings(rank=32, quantise="nf4"), 1024)["base"]
    assert four < 0.6 * memory_of(STARTER, settings, 1024)["base"]
    assert disk_of(STARTER, settings) == STARTER.adapter_parameters(32) * 38


def test_the_rank_holds_the_answers_and_is_not_under_16() -> None:
    assert rank_for(STARTER, lengths(1000)) == 16
    assert rank_for(STARTER, Lengths(np.array([0]), np.array([60_000_000]))) == 64


def test_suggestions_are_lines_that_a_config_takes() -> None:
    """Each has its reason above it; no evidence is called so."""
    found = list(suggestions(prepared(), STARTER, lengths(*range(100, 500))))
    text = as_yaml(Path("x.yaml"), found)
    settings = SftSettings(**yaml.safe_load(text)["sft"])
    assert settings.max_length_tokens == 480 and settings.rank == 16 and settings.alpha == 32
    assert settings.batch_rows * settings.accumulate == 4
    assert "95 % have at most 479 tokens, the longest 499" in " ".join(text.replace("#", " ").split())
    assert all("rule of thumb" in one.reason or "evidence" in one.reason or "so that" in one.reason for one in found)


def test_an_adapter_that_goes_on_keeps_its_rank_and_learns_slower() -> None:
    config = VerifiedConfig(
        start=Path("a.yaml"), run=Path("run"), problems=[{"tasks": True}], checkpoints={"a": Path("a.yaml")},  # type: ignore[list-item]
        sft=SftSettings(rank=8),
    )  # fmt: skip
    going = Prepared("verified_sft", Path("x.yaml"), config, Path("model"), [])
    found = {one.key: one.value for one in suggestions(going, STARTER, lengths(*[100] * 50))}
    assert found["rank"] == 8 and "alpha" not in found and found["learning_rate"] == 1e-4
    assert learning_rate(prepared("raw_sft"), STARTER).value == 5e-5
    without = {one.key: one.reason for one in suggestions(going, STARTER, None)}
    assert set(without) == {"learning_rate", "rank"} and "no rows yet" in without["rank"]


@pytest.mark.assets
def test_tokens_are_those_that_the_trainer_counts(small_model: Path) -> None:
    """Prompt and completion together; a prompt ends with what begins an answer."""
    tokenizer = AutoTokenizer.from_pretrained(small_model)
    rows = [chat_row([{"role": "user", "content": "Add one and two."}], "result = 1 + 2")]
    counted = lengths_of(tokenizer, rows)
    assert counted.total_N.tolist() == [length(tokenizer, rows[0])]
    assert 0.2 < counted.loss_share < 0.4
    base = base_of(small_model)
    assert (
        base.layers == 2
        and len(base.projections) == 14
        and base.adapter_parameters(1) == sum(map(sum, base.projections))
    )


@pytest.mark.assets
def test_a_dry_run_tells_counts_estimates_and_checks_and_trains_nothing(
    small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "raw.yaml"
    facts = {"model": str(small_model), "run": str(tmp_path / "run"), "sources": [{"package": "yaml"}]}
    path.write_text(yaml.safe_dump(facts | {"sft": {"max_length_tokens": 1500}}))
    assert pointsman.main(["train", "raw_sft", str(path), "--dry-run"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for wanted in (
        "max_length_tokens: 1500", "rows: ", "left out as longer than 1500", "alone count in the loss", "steps: ",
        "110 tokens/s were measured", "memory: about", "disk: ", "check: ", "46.3 % to 5 %", "nothing was trained",
    ):  # fmt: skip
        assert wanted in told
    assert not list((tmp_path / "run").glob("checkpoint-*"))
    assert pointsman.main(["train", "raw_sft", str(path), "--suggest"]) == 0
    said = capsys.readouterr().out
    SftSettings(**yaml.safe_load(said)["sft"])
    facts["sft"] = yaml.safe_load(said)["sft"]
    path.write_text(yaml.safe_dump(facts))
    assert pointsman.main(["train", "raw_sft", str(path), "--dry-run"]) == 0


def test_before_sampling_the_sampling_is_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], small_model: Path
) -> None:
    """verified_sft chooses its rows from answers that are not there yet."""
    home = {
        "name": "x", "model": str(small_model), "run": str(tmp_path / "sft"), "bundle": "b", "names": ["x"],
        "tasks": {"package": "statistics", "preamble": ""}, "gate": "configs/gate/polars.yaml",
    }  # fmt: skip
    (tmp_path / "sft.yaml").write_text(yaml.safe_dump(home))
    start = str(tmp_path / "sft.yaml")
    facts = {
        "start": start, "run": str(tmp_path / "run"), "problems": [{"tasks": True, "draw": 100}],
        "checkpoints": {"a": start}, "base": True, "decodings": [{"temperature": 1.0, "samples": 3}],
    }  # fmt: skip
    (tmp_path / "verified.yaml").write_text(yaml.safe_dump(facts))
    assert pointsman.main(["train", "verified_sft", str(tmp_path / "verified.yaml"), "--dry-run"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "rows: none yet, they are chosen from 600 samples" in told and "1.8 samples/s" in told
