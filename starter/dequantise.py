"""A GGUF file becomes a folder of bf16 safetensors that transformers, PEFT and vLLM read.

    python -m starter.dequantise GGUF FOLDER MODEL_ID [EOS_TOKEN_ID ...]

The only file here that imports torch and transformers; it runs as a child process. Same input and same library
versions give the same bytes.

Both models that we build tie the output matrix to the input embeddings. A GGUF file may store the two at different
precision (Qwen: Q5_0 in, Q8_0 out); the finer one, the output, is kept for both: closer to the original and 272 MB
less. Not covered: models whose two matrices really differ.
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel


def convert(gguf: Path, folder: Path, model_id: str, eos_token_ids: list[int]) -> None:
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    tie(model)
    forget_quantisation(model)
    model.config._model_name_or_path = model_id  # the GGUF file's own title, kept by transformers under this key
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id,
        eos_token_id=eos_token_ids or model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.model_max_length = model.config.max_position_embeddings
    for key in ("is_local", "local_files_only"):  # how it was read here, of no meaning to the next reader
        tokenizer.init_kwargs.pop(key, None)
    tokenizer.save_pretrained(folder)


def tie(model: PreTrainedModel) -> None:
    if model.config.tie_word_embeddings:
        return
    model.get_input_embeddings().weight.data.copy_(model.lm_head.weight.data)
    model.config.tie_word_embeddings = True
    model.tie_weights()


def forget_quantisation(model: PreTrainedModel) -> None:
    """The weights are plain bf16 now; a remaining mark would make loaders look for a quantised layout."""
    del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model, "quantization_method"):
        model.quantization_method = None


if __name__ == "__main__":
    source, target, name, *eos = sys.argv[1:]
    convert(Path(source), Path(target), name, [int(token) for token in eos])
