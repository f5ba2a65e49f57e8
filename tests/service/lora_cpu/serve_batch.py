"""Serve one batch with vLLM's engine in a process of its own: JSON request on stdin, JSON answers in the named file.

Not a test: test_agreement.py and nobody else runs it. A process of its own, because vLLM reads its environment at
import and its threads would stay in the test run.
"""

import json
import sys
from pathlib import Path
from typing import Any

from machine.cpu import apply, choose_here

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main(request: dict[str, Any]) -> None:
    settings = choose_here(kv_cache_gib=1)
    apply(settings)
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    from service.lora_cpu import register

    register()
    engine = LLM(
        request["model"],
        enable_lora=True,
        max_loras=len(request["adapters"]),
        max_lora_rank=request["rank"],
        lora_target_modules=TARGETS,
        max_model_len=512,
        max_num_seqs=16,
        enable_prefix_caching=False,
        **settings.engine_args,
    )
    adapters = {name: LoRARequest(name, i, path) for i, (name, path) in enumerate(request["adapters"].items(), 1)}
    outputs = engine.generate(
        [{"prompt_token_ids": row["prompt_token_ids"]} for row in request["rows"]],
        SamplingParams(temperature=0, max_tokens=request["max_tokens"], ignore_eos=True, logprobs=0, prompt_logprobs=0),
        lora_request=[adapters.get(row["model"]) for row in request["rows"]],
        use_tqdm=False,
    )
    Path(request["answers"]).write_text(json.dumps([_answer(output) for output in outputs]))


def _answer(output: Any) -> dict[str, Any]:
    chosen = output.outputs[0]
    return {
        "token_ids": list(chosen.token_ids),
        "prompt_logprobs": [
            entry[token].logprob
            for token, entry in zip(output.prompt_token_ids, output.prompt_logprobs, strict=True)
            if entry
        ],
        "logprobs": [entry[token].logprob for token, entry in zip(chosen.token_ids, chosen.logprobs, strict=True)],
    }


if __name__ == "__main__":
    main(json.load(sys.stdin))
