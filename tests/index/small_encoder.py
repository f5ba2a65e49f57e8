"""A sentence-transformers folder of two random layers, written file by file: real, small, and in nobody's cache."""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (
    "how", "do", "i", "sort", "join", "read", "write", "a", "the", "data", "frame", "table", "by", "two", "columns",
    "csv", "file", "and", "keep", "rows", "sum", "of", "group",
)  # fmt: skip
MAX_TOKENS = 24


def write_encoder(folder: Path, *, pooling: str = "mean", seed: int = 0) -> Path:
    """Write the model and its tokenizer; `pooling` is "mean", "cls" or "max"."""
    torch.manual_seed(seed)
    letters = [f"##{chr(n)}" for n in range(97, 123)] + [chr(n) for n in range(97, 123)]
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *dict.fromkeys((*WORDS, *letters))))}
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=MAX_TOKENS, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    write_tokenizer(folder, vocabulary)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": MAX_TOKENS}))
    for path in ("1_Pooling", "2_Normalize"):
        (folder / path).mkdir()
    modes = {f"pooling_mode_{mode}": False for mode in ("cls_token", "mean_tokens", "max_tokens")}
    modes[f"pooling_mode_{pooling}_token{'' if pooling == 'cls' else 's'}"] = True
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
    return folder


def write_tokenizer(folder: Path, vocabulary: dict[str, int]) -> None:
    """Word pieces, as BERT's."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_TOKENS, **names).save_pretrained(folder)
