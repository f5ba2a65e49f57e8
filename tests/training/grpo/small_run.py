"""A whole run on the small model: everything real but the problems, whose reward is a rule on the text."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoTokenizer

from training.grpo.config import DeliverySettings, GrpoSettings, SchedulerSettings
from training.grpo.delivery import Delivery
from training.grpo.journal import Journal
from training.grpo.practice import Practice
from training.grpo.rewards import Reward
from training.grpo.scheduler import Scheduler
from training.grpo.transformers_sampler import TransformersSampler
from training.trainer.adapters import save_adapter, with_adapter
from training.trainer.grpo import train_by_rewards

Rule = Callable[[str], float | None]
PROMPTS = {f"p{n}": text for n, text in enumerate(("Add one and two.", "Sort a list.", "Say hello."))}


def settings(**changes: object) -> GrpoSettings:
    """Small and fast; answers of a random model never end by themselves."""
    small = {
        "steps": 3, "group": 4, "prompts_per_step": 2, "micro_rows": 8, "max_new_tokens": 4, "warmup_steps": 0,
        "learning_rate": 5e-3, "mask_truncated": False, "save_steps": 2,
    }  # fmt: skip
    return GrpoSettings(**small | changes)


def rewarded(rule: Rule) -> Callable[[str, str], "Future[Reward]"]:
    """A reward by a rule on the text, known at once."""

    def submit(item: str, answer: str) -> "Future[Reward]":
        future: Future[Reward] = Future()
        total = rule(answer)
        passed = None if total is None else total == 1
        future.set_result(Reward(total, {"correct": total}, passed, "passed" if passed else "failed"))
        return future

    return submit


class SmallRun:
    """The parts of a run, before it starts; every token of a number that `ends` divides ends an answer."""

    def __init__(
        self, model_folder: Path, run: Path, rule: Rule, ends: int = 0,
        sampler: type[TransformersSampler] = TransformersSampler, **changes: object,
    ) -> None:  # fmt: skip
        self.folder, self.run, self.settings = model_folder, run, settings(**changes)
        self.tokenizer = AutoTokenizer.from_pretrained(model_folder)
        torch.manual_seed(0)
        self.model: PeftModel = with_adapter(model_folder, 4, 8)
        more = range(0, len(self.tokenizer), ends) if ends else ()
        self.sampler = sampler(self.model, self.tokenizer, [self.tokenizer.eos_token_id, *more])
        prompts = {id_: self.tokenizer(text)["input_ids"] for id_, text in PROMPTS.items()}
        self.scheduler = Scheduler(list(prompts), SchedulerSettings(visits=1000, solved=1000), seed=0)
        self.journal = Journal(run)
        self.delivery = Delivery(
            self.model, self.tokenizer.pad_token_id, self.sampler, [(ids, ids) for ids in prompts.values()],
            partial(save_adapter, self.model, model_folder=model_folder), run / "delivered", self.journal,
            DeliverySettings(),
        )  # fmt: skip
        self.practice = Practice(
            prompts, self.scheduler, self.sampler, self.delivery, rewarded(rule), self.tokenizer, self.journal,
            self.settings, 0,
        )  # fmt: skip

    def train(self, canary: Callable[[int], None] | None = None) -> dict[str, Any]:
        """Run it."""
        return train_by_rewards(
            self.model, self.folder, self.tokenizer, self.practice, self.settings, self.run, 0, canary
        )


def lines(run: Path, name: str) -> list[dict[str, Any]]:
    """A file of the run."""
    path = run / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def logged(run: Path, key: str) -> list[Any]:
    """A figure of each step."""
    return [line[key] for line in lines(run, "steps.jsonl") if "loss" in line]
