"""The stages of a pipeline in; what each has reached, and refusals of what could not work, before anything starts."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from index.config import read_config
from training.config import RawSftConfig, SftConfig
from training.errors import StageError
from training.grpo.config import GrpoConfig
from training.raw import refuse_risk
from training.stages.config import PipelineConfig, VerifiedConfig
from training.stages.recipes import RECIPES, AnyStage
from training.stages.start import RESULT, adapter_of, head_of, refuse_other


@dataclass(frozen=True)
class Link:
    """One stage of a pipeline: its recipe, its config's file and what that holds."""

    stage: str
    path: Path
    config: AnyStage

    def __str__(self) -> str:
        return f"{self.stage} {self.path}"

    @property
    def run(self) -> Path:
        """The stage's run folder."""
        return self.config.run

    @property
    def bundle(self) -> Path | None:
        """The folder of the bundle that the stage writes; none where it writes none."""
        return None if isinstance(self.config, RawSftConfig) else self.config.bundle

    def finished(self) -> bool:
        """Whether the stage has its result and its adapter, and a bundle not older than them where it writes one."""
        try:
            adapter_of(self.path)
        except StageError:
            return False
        if self.bundle is None:
            return True
        manifest = self.bundle / "manifest.json"
        return manifest.is_file() and manifest.stat().st_mtime >= (self.run / RESULT).stat().st_mtime

    def needs(self) -> Iterator[Path]:
        """The configs of the stages that have to be finished before this one."""
        if isinstance(self.config, RawSftConfig):
            return
        if self.config.start is not None:
            yield self.config.start
        if isinstance(self.config, VerifiedConfig):
            yield from self.config.checkpoints.values()

    def goes_on_from(self) -> Path | None:
        """The config of the stage whose adapter goes on; none where a new one is made."""
        if isinstance(self.config, RawSftConfig) or (isinstance(self.config, VerifiedConfig) and not self.config.go_on):
            return None
        return self.config.start

    def steps(self) -> tuple[int, int | None]:
        """Optimiser steps made, and to make in all; None where that is not known yet."""
        made = last_step(self.run / "steps.jsonl")
        step = int(made.get("step", 0))
        if (self.run / RESULT).is_file():
            return step, step
        if isinstance(self.config, GrpoConfig):
            return step, self.config.grpo.steps
        settings = self.config.sft
        if settings.max_steps > 0:
            return step, settings.max_steps
        return step, round(step * settings.epochs / made["epoch"]) if made.get("epoch") else None


def last_step(path: Path) -> dict[str, float]:
    """The last whole line of a run's steps; nothing where there is none."""
    lines = path.read_text().splitlines() if path.is_file() else []
    for line in reversed(lines):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}


def links(config: PipelineConfig) -> list[Link]:
    """The stages with their configs read; raises StageError for an unknown recipe, ConfigError for a wrong config."""
    found = []
    for one in config.stages:
        if one.stage not in RECIPES:
            raise StageError(f'stage "{one.stage}" is not known: name one of {", ".join(RECIPES)}')
        found.append(Link(one.stage, one.config, read_config(one.config, RECIPES[one.stage])))
    return found


def refuse_broken(chain: Sequence[Link]) -> None:
    """Raise StageError when a chain could not run to its end."""
    refuse_shared(chain)
    for number, link in enumerate(chain):
        for needed in link.needs():
            refuse_missing(link, needed, chain[:number], chain[number + 1 :])
        if isinstance(link.config, RawSftConfig):
            refuse_risk(link.config)
        if isinstance(link.config, VerifiedConfig | GrpoConfig):
            head_of(link.path)
        refuse_other(link.config)
        refuse_unlike(link, chain[:number])


def refuse_shared(chain: Sequence[Link]) -> None:
    """Two stages that write the same folder would each undo the other."""
    written: dict[Path, Link] = {}
    for link in chain:
        for folder in filter(None, (link.run, link.bundle)):
            other = written.setdefault(folder.resolve(), link)
            if other is not link:
                raise StageError(f'stages "{other}" and "{link}" both write "{folder}": give one of them another')


def refuse_missing(link: Link, needed: Path, before: Sequence[Link], after: Sequence[Link]) -> None:
    """What a stage goes on from is an earlier stage of the list, or is finished on disk."""
    if needed.resolve() in {other.path.resolve() for other in before}:
        return
    if needed.resolve() in {other.path.resolve() for other in (link, *after)}:
        raise StageError(f'stage "{link}" needs "{needed}", which does not come before it: put that stage first')
    try:
        adapter_of(needed)
    except StageError as error:
        raise StageError(f'stage "{link}" needs what is neither in the list nor finished: {error}') from error


def refuse_unlike(link: Link, before: Sequence[Link]) -> None:
    """An adapter goes on with its own rank, on its own base."""
    start = link.goes_on_from()
    for other in before:
        if start is None or other.path.resolve() != start.resolve():
            continue
        mine, theirs = rank_of(link), rank_of(other)
        if None not in (mine, theirs) and mine != theirs:
            raise StageError(
                f'stage "{link}" has rank "{mine}" and goes on from an adapter of rank "{theirs}": give both the same'
            )
        if (base := base_of(link)) != (another := base_of(other)):
            raise StageError(f'stage "{link}" has the base "{base}", the one it goes on from "{another}": give it that')


def rank_of(link: Link) -> int | None:
    """The rank that a stage's config names; a stage grpo takes that of its start."""
    return None if isinstance(link.config, GrpoConfig) else link.config.sft.rank


def base_of(link: Link) -> str:
    """The base that a stage trains on, as its config names it."""
    config = link.config
    return config.model if isinstance(config, SftConfig | RawSftConfig) else head_of(link.path).model
