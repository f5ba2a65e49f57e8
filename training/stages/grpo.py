"""Stage grpo: a specialist practises on questions that execution can judge, and learns from its better answers.

problems -> prompts chosen by pass rate -> groups of answers -> executed -> rewards -> GRPO -> adapter -> bundle. The
sampler gets every version of the adapter and proves it; held-out tasks are asked greedily along the way.

The run folder holds steps.jsonl, samples.jsonl, events.jsonl, checkpoints with the scheduler's state, and at the end
adapter/ and result.json. The same command again goes on from the last checkpoint.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from index.adapter import base_facts, check_adapter
from index.config import read_config
from index.embed import CachedEncoder, Encoder, load_encoder
from starter import resolve_model
from training.checks.contamination import stamp_result
from training.checks.grading import grading_gate
from training.checks.training import Training, overlap_gate
from training.checks.verdicts import Gate, pass_gates
from training.config import SftSettings
from training.errors import StageError
from training.evaluate.config import IDLE, BenchmarkSettings
from training.evaluate.load import fingerprint
from training.evaluate.run import alone
from training.generation import Text
from training.grpo.canary import Canary, greedy
from training.grpo.config import GrpoConfig, RewardSettings
from training.grpo.delivery import Delivery
from training.grpo.examiner import Examiner
from training.grpo.journal import Journal
from training.grpo.judge import HttpJudge
from training.grpo.parity import parity
from training.grpo.practice import Practice
from training.grpo.sampler import Sampler, VllmSampler
from training.grpo.scheduler import Scheduler, pass_rates
from training.grpo.transformers_sampler import TransformersSampler
from training.sft import pack
from training.stages.problems import Problems, drawn, load_problems, task_items, task_sandbox
from training.stages.start import Start, open_run, start_of
from training.trainer.adapters import save_adapter, with_adapter
from training.trainer.grpo import train_by_rewards

RESULT = "result.json"


def main(path: Path) -> None:
    """Run the stage from its config file."""
    config = read_config(path, GrpoConfig)
    start = start_of(config.start)
    open_run(config)
    with alone(config.run):
        encoder = CachedEncoder(load_encoder(start.home.encoder))
        result = config.run / RESULT
        if not result.is_file():
            problems = [load_problems(one, start, encoder.encode, config.seed, IDLE) for one in config.problems]
            pass_gates(config.run, gates(config, start, problems))
            found = practised(config, start, problems, held_out(config, start, encoder))
            result.write_text(json.dumps(found, indent=2) + "\n")
            stamp_result(config.run)
            Console(soft_wrap=True).print(found["stopped"] or f"adapter written: {config.run / 'adapter'}")
        if config.bundle:
            home = start.home.model_copy(update={"bundle": config.bundle})
            packed = pack(home, config.run, start.tasks(), start.index(), encoder)
            Console().print(f"bundle written: {packed}")


def gates(config: GrpoConfig, start: Start, problems: Sequence[Problems]) -> list[Gate]:
    """What has to hold before an engine starts: checks tell right from wrong, and nothing practised will be asked."""
    items = [item for one in problems for item in one.items]
    training = Training(
        config.run, resolve_model(start.home.model), [], items, SftSettings(), config.evaluations,
        config.allow_contaminated, start.run, start.home.bundle,
    )  # fmt: skip
    return [*(grading_gate(one) for one in problems), *overlap_gate(training)]


def held_out(config: GrpoConfig, start: Start, encoder: Encoder) -> Problems | None:
    """The tasks that the canary asks, in the words of the service; raises StageError when there are too few."""
    if config.canary is None:
        return None
    longest = max(one.max_characters for one in config.problems)
    tasks = [task for task in start.tasks() if task.split == "held_out" and len(task.instruction) <= longest]
    if len(tasks) < config.canary.tasks:
        raise StageError(f'canary asks "{config.canary.tasks}" of {len(tasks)} held-out tasks: give at most that')
    chosen = drawn(tasks, config.canary.tasks, config.seed)
    share = max(one.evidence_share for one in config.problems)
    items = task_items(chosen, start.index(), encoder.encode, share, config.seed)
    path = start.home.run / "tasks.jsonl"
    asked = BenchmarkSettings(benchmark="doctests", name="canary", path=path, sandbox=task_sandbox(start, IDLE))
    return Problems("canary", items, asked)


def practised(
    config: GrpoConfig, start: Start, problems: Sequence[Problems], canary: Problems | None
) -> dict[str, Any]:
    """Train and report."""
    folder, journal = resolve_model(start.home.model), Journal(config.run)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    facts = check_adapter(start.adapter, base_facts(folder))
    model = with_adapter(folder, facts["r"], facts["lora_alpha"], start.adapter)
    prompts = fitting(problems, tokenizer, config.max_prompt_tokens)
    scheduler = Scheduler(list(prompts), config.scheduler, config.seed)
    if config.scheduler.pass_rates:
        scheduler.know(pass_rates(config.scheduler.pass_rates))
    with ExitStack() as stack:
        judge = stack.enter_context(closing(HttpJudge(config.rewards.judge))) if config.rewards.judge else None
        examiner = stack.enter_context(Examiner(problems, config.rewards, judge))
        sampler = stack.enter_context(closing(sampler_of(config, folder, model, tokenizer, facts["r"])))
        delivery = Delivery(
            model, tokenizer.pad_token_id, sampler, references(problems, prompts, tokenizer, config.delivery.texts),
            partial(save_adapter, model, model_folder=folder), config.run / "delivered", journal, config.delivery,
        )  # fmt: skip
        practice = Practice(
            prompts, scheduler, sampler, delivery, examiner.submit, tokenizer, journal, config.grpo, config.seed
        )
        pass_gates(config.run, [*parity_gates(config, problems, prompts, sampler, delivery, examiner, tokenizer)])
        watch = stack.enter_context(watched(config, canary, tokenizer, sampler, delivery, journal)) if canary else None
        found = train_by_rewards(
            model, folder, tokenizer, practice, config.grpo, config.run, config.seed, watch.hook if watch else None
        )
    return {
        **found, "problems": len(prompts), **scheduler.figures(),
        "judge_failures": dict(judge.failures) if judge else None,
        "canary": watch.canary.report() if watch else None,
    }  # fmt: skip


def parity_gates(
    config: GrpoConfig, problems: Sequence[Problems], prompts: dict[str, list[int]], sampler: Sampler,
    delivery: Delivery, examiner: Examiner, tokenizer: PreTrainedTokenizerBase,
) -> Iterator[Gate]:  # fmt: skip
    """Whether rewards are what an evaluation would say; asked of the start, so not again when a run goes on."""
    for one in problems:

        def check(one: Problems = one) -> dict[str, Any]:
            delivery.deliver(0)
            return parity(one, config.evaluations, prompts, sampler, examiner.submit, tokenizer, config.grpo)

        yield Gate(f"agreement {one.name}", [fingerprint(one.items), config.grpo.model_dump()], check)


@dataclass(frozen=True)
class Watched:
    """The canary, and what the trainer calls after each step."""

    canary: Canary
    hook: Callable[[int], None]


@contextmanager
def watched(
    config: GrpoConfig, problems: Problems, tokenizer: PreTrainedTokenizerBase, sampler: Sampler, delivery: Delivery,
    journal: Journal,
) -> Iterator[Watched]:  # fmt: skip
    """The canary with a sandbox of its own; it measures the weights as they are when it is called."""
    settings = config.canary
    assert settings is not None
    prompts = fitting([problems], tokenizer, config.max_prompt_tokens)
    with Examiner([problems], RewardSettings()) as examiner:
        ask = partial(greedy, prompts, sampler, examiner.submit, tokenizer, config.grpo.max_new_tokens)
        canary = Canary(ask, lambda: delivery.adapter, config.run, journal, settings.standard_errors)

        def hook(step: int) -> None:
            if settings.due(step):
                delivery.deliver(step)
                canary(step)

        yield Watched(canary, hook)


def sampler_of(config: GrpoConfig, folder: Path, model: Any, tokenizer: PreTrainedTokenizerBase, rank: int) -> Sampler:
    """What answers, as the config says."""
    if config.rollouts == "transformers":
        ends = model.generation_config.eos_token_id
        return TransformersSampler(model, tokenizer, [ends] if isinstance(ends, int) else ends)
    at_once = config.grpo.group * config.grpo.prompts_per_step
    longest = config.max_prompt_tokens + config.grpo.max_new_tokens + 1
    return VllmSampler(folder, rank, {"max_model_len": longest, "max_num_seqs": at_once, **config.vllm_args})


def fitting(problems: Sequence[Problems], tokenizer: PreTrainedTokenizerBase, longest: int) -> dict[str, list[int]]:
    """The prompts by item as tokens, without those that are too long; raises StageError when none is left."""
    items = [item for one in problems for item in one.items]
    prompts = {item.id: prompt_tokens(tokenizer, item.prompt) for item in items}
    kept = {id_: tokens for id_, tokens in prompts.items() if len(tokens) <= longest}
    if not kept:
        raise StageError(f'no prompt has at most "{longest}" tokens: raise max_prompt_tokens')
    return kept


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, user: str) -> list[int]:
    """The tokens of a chat up to where the model goes on."""
    chat = [{"role": "user", "content": user}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokens


def references(
    problems: Sequence[Problems], prompts: dict[str, list[int]], tokenizer: PreTrainedTokenizerBase, count: int
) -> list[Text]:
    """The shortest prompts with their reference answers; raises StageError when no problem has one."""
    items = [item for one in problems for item in one.items if item.reference and item.id in prompts]
    if not items:
        raise StageError(f'"{len(prompts)}" problems have no reference, which delivery is tried on: add some that do')
    end, shortest = [tokenizer.eos_token_id], sorted(items, key=lambda item: len(prompts[item.id]))
    return [
        (prompts[item.id], tokenizer(item.reference, add_special_tokens=False)["input_ids"] + end)
        for item in shortest[:count]
    ]
