"""Pipelines of stand-in stages, which are real processes without a model, and one of real training."""

import json
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import yaml

from index.config import read_config
from index.errors import ConfigError
from training.errors import StageError
from training.pipeline import PROGRAM, main
from training.stages.chain import links, refuse_broken
from training.stages.config import PipelineConfig
from training.trainer.checkpoints import last_whole

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in_stage.py")))
WAIT_S = 60


def written(path: Path, facts: dict[str, Any]) -> Path:
    """A YAML file."""
    path.write_text(yaml.safe_dump(facts))
    return path


def raw(folder: Path, name: str, **changes: Any) -> Path:
    """The config of a stage that needs no other."""
    facts = {
        "run": str(folder / name),
        "sources": [{"package": "statistics"}],
        "accept_risk": True,
        "sft": {"max_steps": 4},
    }
    return written(folder / f"{name}.yaml", facts | changes)


def sft(folder: Path, name: str, **changes: Any) -> Path:
    """The config of a stage that may go on from another."""
    facts = {
        "name": name, "run": str(folder / name), "bundle": str(folder / f"{name}-bundle"), "names": [name],
        "tasks": {"package": "statistics", "preamble": "from statistics import *"}, "gate": "configs/gate/polars.yaml",
        "sft": {"max_steps": 4},
    }  # fmt: skip
    return written(folder / f"{name}.yaml", facts | changes)


def verified(folder: Path, name: str, start: Path, **changes: Any) -> Path:
    """The config of a stage that goes on from another."""
    facts = {
        "start": str(start), "run": str(folder / name), "problems": [{"tasks": True}],
        "checkpoints": {"first": str(start)}, "sft": {"max_steps": 4},
    }  # fmt: skip
    return written(folder / f"{name}.yaml", facts | changes)


def pipeline(folder: Path, *stages: tuple[str, Path]) -> Path:
    """A pipeline's file."""
    return written(folder / "all.yaml", {"stages": [{"stage": s, "config": str(path)} for s, path in stages]})


def two(folder: Path) -> Path:
    """A pipeline of two stages without needs."""
    return pipeline(folder, ("raw_sft", raw(folder, "one")), ("raw_sft", raw(folder, "two")))


def steps(run: Path) -> list[int]:
    """The steps made in a run folder, in order."""
    return [yaml.safe_load(line)["step"] for line in (run / "steps.jsonl").read_text().splitlines()]


def starts(run: Path) -> int:
    """How often a stage was started."""
    return len((run / "begun").read_text().split())


def wait_for(wanted: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """Until something is so."""
    end = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.02)


def started(path: Path) -> BaseProcess:
    """The pipeline in a process of its own, with stand-in stages; forked, so that nothing is imported again."""
    process = multiprocessing.get_context("fork").Process(target=in_child, args=(path,))
    process.start()
    return process


def in_child(path: Path, program: Sequence[str] = STAND_IN) -> None:
    """Run a pipeline, and end as the command line does."""
    try:
        main(path, program)
    except KeyboardInterrupt:
        os._exit(130)
    except StageError as error:
        path.with_suffix(".error").write_text(str(error))
        os._exit(2)


def refused(path: Path) -> str:
    """What is said of a chain before anything starts."""
    with pytest.raises(StageError) as caught:
        refuse_broken(links(read_config(path, PipelineConfig)))
    return str(caught.value)


def test_stages_run_one_after_the_other_and_finished_ones_are_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = two(tmp_path)
    main(path, STAND_IN)
    assert steps(tmp_path / "one") == steps(tmp_path / "two") == [1, 2, 3, 4]
    main(path, STAND_IN)
    assert starts(tmp_path / "one") == starts(tmp_path / "two") == 1
    shown = capsys.readouterr().out
    assert f"2/2 raw_sft {tmp_path / 'two.yaml'}: finished" in shown
    assert re.search(r"2 stages\s.*8/8 steps", shown)


def test_a_stage_that_was_killed_goes_on_and_no_step_is_repeated(tmp_path: Path) -> None:
    """Killed at its checkpoint in the second stage: the first is not started again."""
    path, hang = two(tmp_path), tmp_path / "two.hang"
    hang.touch()
    running = started(path)
    wait_for(lambda: (tmp_path / "two" / "checkpoint-2").is_dir())
    os.kill(int((tmp_path / "two" / "begun").read_text()), signal.SIGKILL)
    running.join(WAIT_S)
    assert 'ended with status "-9" and is not finished' in path.with_suffix(".error").read_text()
    hang.unlink()
    main(path, STAND_IN)
    assert steps(tmp_path / "one") == steps(tmp_path / "two") == [1, 2, 3, 4]
    assert (starts(tmp_path / "one"), starts(tmp_path / "two")) == (1, 2)


def test_a_killed_pipeline_goes_on_once_its_stage_has_ended(tmp_path: Path) -> None:
    """The stage outlives the pipeline; a second one beside it would write the same files."""
    path, hang = two(tmp_path), tmp_path / "one.hang"
    hang.touch()
    running = started(path)
    wait_for(lambda: (tmp_path / "one" / "checkpoint-2").is_dir())
    running.kill()
    running.join(WAIT_S)
    stage = int((tmp_path / "one" / "begun").read_text())
    with pytest.raises(StageError, match=f'still at work as process "{stage}": wait until it ends, or end it'):
        main(path, STAND_IN)
    os.kill(stage, signal.SIGKILL)
    hang.unlink()
    wait_for(
        lambda: not Path(f"/proc/{stage}/status").is_file() or "zombie" in Path(f"/proc/{stage}/status").read_text()
    )
    main(path, STAND_IN)
    assert steps(tmp_path / "one") == steps(tmp_path / "two") == [1, 2, 3, 4]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_reaches_the_stage_and_the_pipeline_waits_for_it(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    path = two(tmp_path)
    (tmp_path / "one.hang").touch()
    running = started(path)
    wait_for(lambda: (tmp_path / "one" / "checkpoint-2").is_dir())
    os.kill(running.pid or 0, number)
    running.join(WAIT_S)
    assert running.exitcode == status
    assert (tmp_path / "one" / "signals").read_text() == f"{number.name}\n"
    assert not (tmp_path / "two").exists()


def test_a_refusal_of_a_stage_stops_the_pipeline_with_its_own_message(tmp_path: Path) -> None:
    path = two(tmp_path)
    (tmp_path / "one.refuse").touch()
    with pytest.raises(StageError) as caught:
        main(path, STAND_IN)
    assert str(caught.value) == (
        f'stage "raw_sft {tmp_path / "one.yaml"}" stopped: adapter "x" is of another base: train it on this one'
    )
    assert not (tmp_path / "two").exists()


def test_a_stage_whose_bundle_is_missing_or_older_is_not_finished(tmp_path: Path) -> None:
    """A kill between the training and the packing must not leave the bundle unwritten."""
    path = pipeline(tmp_path, ("sft", sft(tmp_path, "one")))
    with pytest.raises(StageError, match=r'status "0" and is not finished'):
        main(path, STAND_IN)
    (link,) = links(read_config(path, PipelineConfig))
    assert not link.finished()
    (tmp_path / "one-bundle").mkdir()
    (tmp_path / "one-bundle" / "manifest.json").write_text("{}")
    assert link.finished()
    os.utime(tmp_path / "one-bundle" / "manifest.json", (0, 0))
    assert not link.finished()


def test_a_chain_names_its_starts_before_what_goes_on_from_them(tmp_path: Path) -> None:
    """In the list, or finished on disk; anything else would be found out after hours."""
    first = sft(tmp_path, "first")
    second = verified(tmp_path, "second", first)
    refuse_broken(links(read_config(pipeline(tmp_path, ("sft", first), ("verified_sft", second)), PipelineConfig)))
    late = refused(pipeline(tmp_path, ("verified_sft", second), ("sft", first)))
    assert f'needs "{first}", which does not come before it: put that stage first' in late
    absent = refused(pipeline(tmp_path, ("verified_sft", second)))
    assert (
        "neither in the list nor finished" in absent and f'"{tmp_path / "first" / "result.json"}" is missing' in absent
    )


def test_a_raw_stage_may_be_the_head_and_a_stage_without_tasks_may_not_be_practised_on(tmp_path: Path) -> None:
    head = raw(tmp_path, "head")
    middle = sft(tmp_path, "middle", start=str(head))
    last = verified(tmp_path, "last", middle)
    chain = pipeline(tmp_path, ("raw_sft", head), ("sft", middle), ("verified_sft", last))
    refuse_broken(links(read_config(chain, PipelineConfig)))
    wrong = verified(tmp_path, "wrong", head)
    assert "makes no tasks and no index" in refused(pipeline(tmp_path, ("raw_sft", head), ("verified_sft", wrong)))


def test_what_would_be_refused_later_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """Ranks, bases, folders, the risk that was not accepted, recipes, configs, runs of another configuration."""
    one = raw(tmp_path, "one")
    same = raw(tmp_path, "same", run=str(tmp_path / "one"))
    assert f'both write "{tmp_path / "one"}"' in refused(pipeline(tmp_path, ("raw_sft", one), ("raw_sft", same)))
    rank = sft(tmp_path, "rank", start=str(one), sft={"rank": 8})
    assert 'rank "8" and goes on from an adapter of rank "16"' in refused(
        pipeline(tmp_path, ("raw_sft", one), ("sft", rank))
    )
    base = sft(tmp_path, "base", start=str(one), model="tiny")
    assert 'has the base "tiny", the one it goes on from "starter"' in refused(
        pipeline(tmp_path, ("raw_sft", one), ("sft", base))
    )
    assert "46.3 % to 5 %" in refused(pipeline(tmp_path, ("raw_sft", raw(tmp_path, "risky", accept_risk=False))))
    assert 'stage "fly" is not known' in refused(pipeline(tmp_path, ("fly", one)))
    with pytest.raises(ConfigError, match=r"one\.yaml"):
        refused(pipeline(tmp_path, ("sft", one)))
    main(pipeline(tmp_path, ("raw_sft", one)), STAND_IN)
    (tmp_path / "one" / "config.json").write_text('{"seed": 9}')
    assert "made from another configuration" in refused(pipeline(tmp_path, ("raw_sft", one)))


@pytest.mark.assets
def test_real_training_that_was_killed_goes_on_from_its_checkpoint(small_model: Path, tmp_path: Path) -> None:
    """The command line's own stage; each step is in the log once, as it was made last."""
    settings = {"max_steps": 40, "save_steps": 1, "rank": 4, "batch_rows": 1, "max_length_tokens": 1500}
    one = raw(tmp_path, "one", model=str(small_model), sources=[{"package": "yaml"}], sft=settings)
    path = pipeline(tmp_path, ("raw_sft", one))
    process = multiprocessing.get_context("fork").Process(target=in_child, args=(path, PROGRAM))
    process.start()
    run = tmp_path / "one"
    wait_for(lambda: last_whole(run) is not None, 600)
    os.kill(int((run / ".pipeline.lock").read_text()), signal.SIGKILL)
    process.join(WAIT_S)
    assert 'status "-9"' in path.with_suffix(".error").read_text()
    main(path)
    lines = [yaml.safe_load(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 41))
    assert json.loads((run / "result.json").read_text())["epoch"] > 0
