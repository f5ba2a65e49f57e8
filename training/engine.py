"""vLLM in this process, for training and evaluation: prompts in, texts out as they are ready.

The one module of training/ that imports vllm; machine.environment.prepare must have run before, which training code
sees to by importing this module late. The engine's step loop runs in the caller's thread, so whoever takes the answers
works while the loop waits for nothing but the model. Not covered: several devices.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vllm import LLM, SamplingParams
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind

from machine.lora import LORA_RANKS
from training.config import PROJECTIONS
from training.errors import EngineError
from training.generation import Generated, Generation


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
        self._tokenizer = self._llm.get_tokenizer()
        self._longest = self._llm.model_config.max_model_len

    def generate(self, wanted: Sequence[Generation]) -> Iterator[Generated]:
        """Every text as it is ready; raises EngineError on a prompt that leaves no room for an answer.

        Closing the iterator ends what is under way.
        """
        engine = self._llm.llm_engine
        by_key = {one.key: one for one in wanted}
        prompts = {one.key: self._prompt(one) for one in wanted}
        for key, tokens in prompts.items():
            one = by_key[key]
            room = self._longest - len(tokens)
            engine.add_request(
                key, {"prompt_token_ids": tokens}, sampling(one, min(one.max_tokens, room)),
                lora_request=self._adapters[one.adapter] if one.adapter else None,
            )  # fmt: skip
        try:
            while engine.has_unfinished_requests():
                for output in engine.step():
                    if output.finished:
                        one, last = by_key.pop(output.request_id), output.outputs[0]
                        yield Generated(
                            one.key, one.prefix + last.text, str(last.finish_reason), len(prompts[one.key]),
                            len(last.token_ids),
                        )  # fmt: skip
        finally:
            if by_key and engine.has_unfinished_requests():
                engine.abort_request(list(by_key))

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


def sampling(one: Generation, max_tokens: int) -> SamplingParams:
    """vLLM's parameters; only the finished text is handed out."""
    return SamplingParams(
        temperature=one.temperature, top_p=one.top_p, seed=one.seed, max_tokens=max_tokens, stop=list(one.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip
