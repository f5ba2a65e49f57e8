"""The real engine as the sampler: each version of the adapter answers for itself, and its figures are true."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.assets]

# In a process of its own, which the engine needs for its environment.
PROGRAM = """
import json, sys
from pathlib import Path
import torch
from transformers import AutoTokenizer
from starter import resolve_model
from training.generation import Wanted
from training.grpo.delivery import apart
from training.grpo.logprobs import completion_logprobs
from training.grpo.sampler import VllmSampler
from training.trainer.adapters import save_adapter, with_adapter

folder, run = resolve_model("tiny"), Path(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = with_adapter(folder, 8, 16)
text = tokenizer("def add(a, b):\\n    return a + b\\n\\nprint(add(1, 2))")["input_ids"]
texts = [(text[:4], text[4:]), (text[:8], text[8:])]
sampler, found = VllmSampler(folder, 8, {"max_model_len": 256, "max_num_seqs": 8}), []
torch.manual_seed(0)
for version in range(3):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(torch.randn_like(parameter) * 0.1)
    save_adapter(model, run / str(version), folder)
    sampler.deliver(run / str(version))
    policy = completion_logprobs(model, texts, tokenizer.pad_token_id)
    with model.disable_adapter():
        base = completion_logprobs(model, texts, tokenizer.pad_token_id)
    scored = sampler.score(texts)
    wanted = [Wanted(f"a/{n}", text[:8], 0.7, n, 12) for n in range(4)]
    drawn = {one.key: one for one in sampler.sample(wanted)}
    again = {one.key: one for one in sampler.sample(wanted)}
    said = [drawn[one.key].logprobs for one in wanted]
    true = completion_logprobs(
        model, [(one.prompt_ids, drawn[one.key].token_ids) for one in wanted], tokenizer.pad_token_id, 0.7
    )
    found.append({
        "policy": apart(scored, policy), "base": apart(scored, base), "sampled": apart(said, true),
        "repeats": all(drawn[key].token_ids == again[key].token_ids for key in drawn),
        "tokens": [len(one.token_ids) for one in drawn.values()], "finish": [one.finish for one in drawn.values()],
    })
sampler.close()
print(json.dumps(found))
"""


def test_each_version_of_the_adapter_is_what_answers(tmp_path: Path) -> None:
    """Scores and sampled log-probabilities, at a temperature, are those of the newest weights; seeds repeat."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    versions = json.loads(done.stdout.splitlines()[-1])
    assert len(versions) == 3
    for one in versions:
        assert one["policy"] < 0.1 and 3 * one["policy"] < one["base"], versions
        assert one["sampled"] < 0.1, versions
        assert one["repeats"] and max(one["tokens"]) <= 12
        assert set(one["finish"]) <= {"stop", "length"}
