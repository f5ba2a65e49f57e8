"""vLLM in this process, for training and evaluation: prompts in, texts out as they are ready.

The one module of training/ that imports vllm; machine.environment.prepare must have run before, which training code
sees to by importing this module late. The engine's step loop runs in the caller's thread, so whoever takes the answers
works while the loop waits for nothing but the model. Not covered: several devices.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind

from machine.lora import LORA_RANKS
from training.config import PROJECTIONS
from training.errors import EngineError
from training.generation import Generated, Generation, Sampled, Text, Wanted

# One token more has to be generated, which nobody reads.
SCORING = SamplingParams(
    temperature=0, max_tokens=1, prompt_logprobs=0, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY
)


@dataclass(frozen=True, eq=False)
class Request:
    """One request in the engine's terms."""

    key: str
    tokens: list[int]
    params: SamplingParams
    adapter: LoRARequest | None


class Engine:
    """A base model with adapters by name, of known ranks; `arguments` are vLLM's own."""

    def __init__(self, model: Path, adapters: Mapping[str, tuple[Path, int]], arguments: Mapping[str, Any]) -> None:
        lora: dict[str, Any] = {}
        if adapters:
            rank = max(rank for _, rank in adapters.values())
            size = next(size for size in LORA_RANKS if size >= rank)
            # Projections named, because vLLM would otherwise wrap lm_head too.
            lora = {
                "enable_lora": True, "max_loras": len(adapters), "max_cpu_loras": len(adapters), "max_lora_rank": size,
                "lora_target_modules": list(PROJECTIONS),
            }  # fmt: skip
        # The engine says everything at the root's level, progress bars of loading included.
        logging.getLogger("vllm").setLevel(logging.ERROR)
        try:
            self._llm = LLM(
                str(model),
                disable_log_stats=True,
                use_tqdm_on_load=False,
                **{"load_format": "safetensors", **lora, **arguments},
            )
        except (ValueError, TypeError, RuntimeError, OSError) as error:
            reason = str(error).strip().splitlines()[-1][:300]
            raise EngineError(f'vLLM cannot load the model "{model}": {reason}') from error
        self._adapters = {
            name: LoRARequest(name, number, str(folder.resolve()))
            for number, (name, (folder, _)) in enumerate(adapters.items(), 1)
        }
        self._newest = len(adapters)
        self._tokenizer = self._llm.get_tokenizer()
        self._longest = self._llm.model_config.max_model_len

    def generate(self, wanted: Sequence[Generation]) -> Iterator[Generated]:
        """Every text as it is ready; raises EngineError on a prompt that leaves no room for an answer.

        Closing the iterator ends what is under way.
        """
        by_key = {one.key: one for one in wanted}
        prompts = {one.key: self._prompt(one) for one in wanted}
        requests = [
            Request(
                one.key, prompts[one.key], sampling(one, min(one.max_tokens, self._longest - len(prompts[one.key]))),
                self._adapters[one.adapter] if one.adapter else None,
            )
            for one in wanted
        ]  # fmt: skip
        for output in self._finished(requests):
            one, last = by_key[output.request_id], output.outputs[0]
            yield Generated(
                one.key, one.prefix + last.text, str(last.finish_reason), len(prompts[one.key]), len(last.token_ids)
            )

    def sample(self, wanted: Sequence[Wanted], adapter: str | None) -> Iterator[Sampled]:
        """Every continuation as it is ready, by tokens; closing the iterator ends what is under way."""
        for output in self._finished(
            Request(one.key, one.prompt_ids, drawing(one), self._adapters[adapter] if adapter else None)
            for one in wanted
        ):
            last = output.outputs[0]
            tokens = list(last.token_ids)
            chosen = [float(top[token].logprob) for token, top in zip(tokens, last.logprobs, strict=True)]
            yield Sampled(output.request_id, tokens, chosen, str(last.finish_reason))

    def score(self, texts: Sequence[Text], adapter: str | None) -> list[list[float]]:
        """The log-probability in nats of each token that follows a prompt, at temperature 1."""
        lora = self._adapters[adapter] if adapter else None
        requests = [Request(str(n), [*text[0], *text[1]], SCORING, lora) for n, text in enumerate(texts)]
        given = {output.request_id: output.prompt_logprobs for output in self._finished(requests)}
        return [
            [float(top[token].logprob) for token, top in zip(tokens, given[str(n)][len(prompt) :], strict=True)]
            for n, (prompt, tokens) in enumerate(texts)
        ]

    def swap_adapter(self, name: str, folder: Path) -> None:
        """Serve this adapter in place of all others; nothing may be under way.

        The name must be new: what vLLM cached of prompts goes by an adapter's name, weights by its number.
        """
        engine = self._llm.llm_engine
        if name in self._adapters:
            raise EngineError(f'adapter "{name}" was served before: give the new version a new name')
        for old in self._adapters.values():
            engine.remove_lora(old.lora_int_id)
        self._newest += 1
        request = LoRARequest(name, self._newest, str(folder.resolve()))
        if not engine.add_lora(request):
            raise EngineError(f'vLLM refuses the adapter "{folder}": it does not fit the model or the rank')
        self._adapters = {name: request}

    def _finished(self, requests: Iterable[Request]) -> Iterator[RequestOutput]:
        """Each request's output when it has ended; what is left when the caller goes away is aborted."""
        engine, waiting = self._llm.llm_engine, set()

        def add(one: Request) -> None:
            engine.add_request(one.key, {"prompt_token_ids": one.tokens}, one.params, lora_request=one.adapter)
            waiting.add(one.key)

        held = twins(requests)
        for first in held:
            add(first)
        later = {first.key: rest for first, rest in held.items()}
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    for one in later.pop(output.request_id, ()):
                        add(one)
                    if output.finished:
                        waiting.discard(output.request_id)
                        yield output
        finally:
            if waiting and engine.has_unfinished_requests():
                engine.abort_request(list(waiting))

    def _prompt(self, one: Generation) -> list[int]:
        """The tokens of the chat up to where the model goes on."""
        chat = [{"role": "user", "content": one.user}]
        text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) + one.prefix
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(tokens) >= self._longest:
            raise EngineError(
                f'the question "{one.user[:60]}..." has {len(tokens)} tokens: raise max_model_len ("{self._longest}")'
            )
        return tokens

    def close(self) -> None:
        """End the engine and what it started."""
        self._llm.llm_engine.engine_core.shutdown()


def twins(requests: Iterable[Request]) -> dict[Request, list[Request]]:
    """The first request of each prompt to each adapter, and the others, which wait for its first token.

    By then the prompt is in the engine's prefix cache; begun in one step, each would compute it for itself.
    """
    found: dict[tuple[Any, ...], list[Request]] = {}
    for one in requests:
        found.setdefault((one.adapter and one.adapter.lora_name, *one.tokens), []).append(one)
    return {
        (replace(first, params=told_early(first.params)) if rest else first): rest for first, *rest in found.values()
    }


def told_early(params: SamplingParams) -> SamplingParams:
    """The same, heard of from its first token on."""
    changed = params.clone()
    changed.output_kind = RequestOutputKind.CUMULATIVE
    return changed


def sampling(one: Generation, max_tokens: int) -> SamplingParams:
    """vLLM's parameters; only the finished text is handed out."""
    return SamplingParams(
        temperature=one.temperature, top_p=one.top_p, seed=one.seed, max_tokens=max_tokens, stop=list(one.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip


def drawing(one: Wanted) -> SamplingParams:
    """vLLM's parameters for tokens with the log-probability of each one drawn."""
    return SamplingParams(
        temperature=one.temperature, seed=one.seed, max_tokens=one.max_tokens, logprobs=0, detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip
