"""Before the first step: are the start's own answers worth as rewards what an evaluation says of them?"""

from collections.abc import Mapping, Sequence
from typing import Any

from training.checks.agreement import check_agreement
from training.evaluate.config import BenchmarkSettings, Condition, resolve, sandbox_of
from training.evaluate.grade import Grader
from training.evaluate.item import Item
from training.generation import Wanted
from training.grpo.config import GrpoSettings
from training.grpo.practice import Decode, Submit, seed_of
from training.grpo.sampler import Sampler
from training.sandbox import Sandbox
from training.stages.problems import Problems

PROMPTS = 8


def parity(
    problems: Problems, evaluations: Sequence[BenchmarkSettings], prompts: Mapping[str, list[int]], sampler: Sampler,
    submit: Submit, tokenizer: Decode, settings: GrpoSettings,
) -> dict[str, Any]:  # fmt: skip
    """The verdicts of both paths on a group of answers to each of PROMPTS prompts; raises StageError where they part.

    The evaluation's path is that of the set of the same kind that will be asked, else that of the problems themselves.
    """
    items = [item for item in problems.items if item.id in prompts][:PROMPTS]
    answers = sampled(items, prompts, sampler, tokenizer, settings)
    rewards = {pair: submit(pair[0], pair[1]) for pair in {(item.id, text) for item, text in answers}}
    kind = problems.settings.benchmark
    asked = next((one for one in evaluations if one.benchmark == kind), problems.settings)
    resolved = resolve(asked, Condition(label="parity"))

    def reward(item: Item, text: str) -> float | None:
        return rewards[item.id, text].result().parts["correct"]

    with Sandbox(sandbox_of(asked)) as sandbox:
        return check_agreement(answers, reward, Grader(sandbox, resolved.limits, resolved.extraction))


def sampled(
    items: Sequence[Item], prompts: Mapping[str, list[int]], sampler: Sampler, tokenizer: Decode, settings: GrpoSettings
) -> list[tuple[Item, str]]:
    """A group of answers to each item, as a step would sample them."""
    by_id = {item.id: item for item in items}
    wanted = [
        Wanted(
            f"{item.id}/{n}", prompts[item.id], settings.temperature, seed_of("parity", item.id, n),
            settings.max_new_tokens,
        )
        for item in items
        for n in range(settings.group)
    ]  # fmt: skip
    return [
        (by_id[one.key.rpartition("/")[0]], tokenizer.decode(one.token_ids, skip_special_tokens=True))
        for one in sampler.sample(wanted)
    ]
