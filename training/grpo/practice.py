"""One step's practice: prompts chosen, answered, rewarded, and asked anew until enough groups have a signal."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from training.errors import StageStopped
from training.generation import Sampled, Text, Wanted
from training.grpo.config import GrpoSettings
from training.grpo.delivery import Delivery
from training.grpo.groups import Answered, Group, figures
from training.grpo.journal import SAMPLES, Journal
from training.grpo.rewards import Reward
from training.grpo.sampler import Sampler
from training.grpo.scheduler import Scheduler


class Decode(Protocol):
    """A tokenizer's."""

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """The text of tokens."""


class Submit(Protocol):
    """What rewards an answer to an item; Examiner.submit."""

    def __call__(self, item: str, answer: str) -> "Future[Reward]":
        """The reward, when it is ready."""


@dataclass(frozen=True)
class Batch:
    """A step's answers, group after group; a reward of None has no part in training."""

    texts: list[Text] = field(default_factory=list)
    logprobs: list[list[float]] = field(default_factory=list)
    rewards: list[float | None] = field(default_factory=list)

    def add(self, group: Group, counts: bool = True) -> None:
        """Append a group; without `counts` to fill a place only."""
        for one in group.answers:
            self.texts.append((group.prompt_ids, one.sampled.token_ids))
            self.logprobs.append(one.sampled.logprobs)
            self.rewards.append(one.reward.total if counts else None)


class Practice:
    """Callable with the number of steps done; `prompts` are the items' prompts by id, as tokens."""

    def __init__(
        self, prompts: Mapping[str, list[int]], scheduler: Scheduler, sampler: Sampler, delivery: Delivery,
        submit: Submit, tokenizer: Decode, journal: Journal, settings: GrpoSettings, seed: int,
    ) -> None:  # fmt: skip
        self._prompts, self.scheduler, self._sampler, self._submit = prompts, scheduler, sampler, submit
        self._delivery, self._tokenizer, self._journal = delivery, tokenizer, journal
        self._settings, self._seed = settings, seed
        self.figures: dict[str, Any] = {}

    def __call__(self, step: int) -> Batch:
        """The answers of a step, always as many groups; raises StageStopped when no prompt is left."""
        self._delivery.deliver(step)
        count, tried, live = self._settings.prompts_per_step, list[Group](), list[Group]()
        for round_ in range(self.scheduler.settings.max_rounds):
            taken = {group.item for group in tried}
            ids = self.scheduler.choose(count - len(live), step, round_, taken)
            groups = self._answered(ids, step, round_)
            tried += groups
            live += [group for group in groups if group.live]
            if len(live) == count or not ids:
                break
        if not tried:
            raise StageStopped(
                f'no prompt is left at step "{step}": give more problems, or raise visits or solved', "current"
            )
        used = [*live, *(group for group in tried if not group.live)][:count]
        self.figures = {**figures(tried, used), **self.scheduler.figures(), **self._delivery.figures}
        self._journal.write(SAMPLES, lines(tried, used, step + 1))
        batch = Batch()
        for place in range(count):
            batch.add(used[place % len(used)], counts=place < len(used))
        return batch

    def _answered(self, ids: Sequence[str], step: int, round_: int) -> list[Group]:
        """A group for each prompt; rewards are found while the rest is generated."""
        waiting: dict[str, list[tuple[Sampled, str, Future[Reward]]]] = {id_: [] for id_ in ids}
        for sampled in self._sampler.sample(list(self._wanted(ids, step))):
            id_ = sampled.key.rpartition("/")[0]
            text = self._tokenizer.decode(sampled.token_ids, skip_special_tokens=True)
            waiting[id_].append((sampled, text, self._submit(id_, text)))
        groups = []
        for id_, answers in waiting.items():
            answers.sort(key=lambda one: int(one[0].key.rpartition("/")[2]))
            found = [Answered(sampled, text, future.result()) for sampled, text, future in answers]
            group = Group(id_, self._prompts[id_], found, round_)
            self.scheduler.record(id_, group.passed)
            groups.append(group)
        return groups

    def _wanted(self, ids: Iterable[str], step: int) -> Iterator[Wanted]:
        settings = self._settings
        for id_ in ids:
            for n in range(settings.group):
                seed = seed_of(self._seed, step, id_, n)
                yield Wanted(f"{id_}/{n}", self._prompts[id_], settings.temperature, seed, settings.max_new_tokens)


def seed_of(*parts: object) -> int:
    """A seed of 31 bits by what it is for, so that a run that goes on draws the same."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4]) >> 1


def lines(tried: Sequence[Group], used: Sequence[Group], step: int) -> Iterator[dict[str, Any]]:
    """Every answer of a step, for samples.jsonl."""
    for group in tried:
        for n, one in enumerate(group.answers):
            yield {
                "step": step, "prompt": group.item, "sample": n, "round": group.round, "live": group.live,
                "used": any(group is other for other in used), "reward": one.reward.total, "parts": one.reward.parts,
                "status": one.reward.status, "finish": one.sampled.finish, "tokens": len(one.sampled.token_ids),
                "completion": one.text,
            }  # fmt: skip
