from pathlib import Path
from typing import Any

import pytest
import yaml

from index.config import read_config
from index.errors import ConfigError
from training.evaluate.config import BenchmarkSettings, Condition, Decoding, EvaluateConfig, resolve

GOOD: dict[str, Any] = {
    "output": "out",
    "offline": {"model": "tiny", "adapters": {"polars": "bundles/polars/adapter"}},
    "benchmarks": [{"benchmark": "humaneval"}],
    "conditions": [{"label": "base"}, {"label": "specialist", "model": "polars"}],
}


def read(tmp_path: Path, **changes: Any) -> EvaluateConfig:
    """The good config with some keys replaced, read from a file; None takes a key away."""
    path = tmp_path / "evaluate.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (GOOD | changes).items() if value is not None}))
    return read_config(path, EvaluateConfig)


def test_the_good_config_is_read(tmp_path: Path) -> None:
    """So that each refusal below is for the one change."""
    assert [c.label for c in read(tmp_path).conditions] == ["base", "specialist"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"benchmarks": [{"benchmark": "humanevil"}]}, r'"humanevil" is not known: name one of humaneval, humaneval\+'),
        ({"benchmarks": []}, "benchmarks"),
        ({"benchmarks": [{"benchmark": "humaneval"}] * 2}, '"humaneval" is there twice'),
        ({"benchmarks": [{"benchmark": "livecodebench"}]}, "has no source of its own: give path or dataset"),
        ({"benchmarks": [{"benchmark": "mbpp", "path": "a", "dataset": "b"}]}, 'from "path" and from "dataset"'),
        ({"benchmarks": [{"benchmark": "mbpp", "template": "x"}]}, 'template "x" is not known'),
        ({"benchmarks": [{"benchmark": "mbpp", "extraction": "x"}]}, 'extraction "x" is not known'),
        ({"benchmarks": [{"benchmark": "mbpp", "name": "../x"}]}, "name"),
        ({"decodings": [{"temperature": 0, "samples": 3}]}, 'samples "3" at temperature 0 are the same answer'),
        ({"decodings": [{"temperature": 1, "samples": 3, "k": [1, 5]}]}, 'k "5" needs 5 samples and has 3'),
        ({"decodings": [{}, {}]}, '"greedy" is there twice'),
        ({"baseline": "bse"}, 'baseline "bse" is no condition: name one of base, specialist'),
        ({"benchmarks": [{"benchmark": "humaneval", "conditions": ["base", "x"]}]}, 'names the condition "x"'),
        ({"benchmarks": [{"benchmark": "humaneval", "conditions": ["specialist"]}]}, 'leaves the baseline "base" out'),
        ({"benchmarks": [{"benchmark": "gsm8k", "extraction": "first"}]}, "reads answers by its own rules"),
        ({"benchmarks": [{"benchmark": "gsm8k", "path": "a", "split": "test"}]}, "are of data sets"),
        ({"benchmarks": [{"benchmark": "mbpp", "path": "a", "split": "tset"}]}, 'split "tset" is none of MBPP'),
        ({"benchmarks": [{"benchmark": "mbpp", "stop": [""]}]}, "stop"),
        ({"service": "http://127.0.0.1:1"}, "either a running `service` answers or an `offline` engine"),
        ({"offline": None}, "either a running `service` answers or an `offline` engine"),
        (
            {"conditions": [{"label": "base", "model": "pandas"}]},
            'model "pandas" is not known: name one of base, polars',
        ),
        ({"conditions": [{"label": "base", "context": "on"}]}, 'context "on" needs a service'),
        ({"conditions": [{"label": "base"}, {"label": "base"}]}, '"base" is there twice'),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_cure(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Before anything is loaded, naming the file and the value."""
    with pytest.raises(ConfigError, match=said) as caught:
        read(tmp_path, **changes)
    assert "evaluate.yaml" in str(caught.value)


def test_a_condition_overrules_its_benchmark_and_that_its_kind() -> None:
    """What neither sets is what the catalogue says."""
    benchmark = BenchmarkSettings(benchmark="humaneval", max_tokens=100, cpu_s=3)
    plain = resolve(benchmark, Condition(label="a"))
    assert (plain.template, plain.max_tokens, plain.limits.cpu_s, plain.stop[0]) == ("evalplus", 100, 3, "\n```\n")
    other = resolve(benchmark, Condition(label="b", template="complete", max_tokens=7, stop=[], cpu_s=1))
    assert (other.template, other.max_tokens, other.limits.cpu_s, other.stop) == ("complete", 7, 1, [])


def test_decodings_name_what_they_are() -> None:
    """Greedy and sampled can never be taken for each other."""
    assert Decoding().label == "greedy"
    assert Decoding(temperature=0.8, top_p=0.95, samples=10).label == "T=0.8,top_p=0.95,n=10"
