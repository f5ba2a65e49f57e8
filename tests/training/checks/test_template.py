"""One template everywhere, and rows that end their turn: with a real tokenizer."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from index.adapter import template_hash
from training.checks.template import endings, hash_of, same_template
from training.errors import StageError
from training.rows import chat_row

pytestmark = pytest.mark.assets
ROWS = [chat_row([{"role": "user", "content": "Add one and two."}], "result = 1 + 2")] * 4


def test_a_tokenizer_and_its_folder_have_one_hash(small_model: Path) -> None:
    """The folder's is what a bundle's manifest states."""
    assert hash_of(AutoTokenizer.from_pretrained(small_model)) == template_hash(small_model)


def test_another_template_is_refused_naming_both() -> None:
    assert same_template({"training": "a" * 64, "serving": "a" * 64})["places"] == ["training", "serving"]
    with pytest.raises(StageError, match=r'in training is "a+", in serving "b+": train from'):
        same_template({"training": "a" * 64, "evaluation": "a" * 64, "serving": "b" * 64})


def test_rows_end_their_turn_or_are_refused(small_model: Path) -> None:
    """A template without an end teaches to go on for ever."""
    tokenizer = AutoTokenizer.from_pretrained(small_model)
    found = endings(ROWS, tokenizer)
    assert found["ending_share"] == 1 and 0 < found["learnt_token_share"] < 1
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    with pytest.raises(StageError, match=r'"0.0" % of 4 rows end with'):
        endings(ROWS, tokenizer)
