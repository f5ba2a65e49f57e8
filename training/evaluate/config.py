"""configs/training/evaluate*.yaml: what is asked, of what, how, and how answers are graded."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from index.config import Settings
from training.evaluate.benchmarks.catalogue import BENCHMARKS, Benchmark
from training.evaluate.prompts import TEMPLATES
from training.extract import EXTRACTIONS
from training.sandbox import Limits, SandboxConfig
from training.task_settings import TaskSettings

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,60}$")]
Context = Literal["auto", "on", "off"]


def one_of(value: str, known: dict[str, object], what: str) -> str:
    """The value; refused when it is not among the known names."""
    if value not in known:
        raise ValueError(f'{what} "{value}" is not known: name one of {", ".join(known)}')
    return value


class Published(Settings):
    """A score that others report for the base model, to be set beside ours."""

    value: float = Field(ge=0, le=1, description="The published rate.")
    source: str = Field(description="Where it is published.")


class Asking(Settings):
    """How a question is put and an answer cut and read; what is left out is the benchmark's own."""

    template: str | None = Field(default=None, description="Prompt template, a name of prompts.py.")
    extraction: str | None = Field(default=None, description="How code is found in an answer, a name of extract.py.")
    max_tokens: int | None = Field(default=None, ge=1, description="Longest answer, in tokens.")
    stop: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None, description="Texts that end an answer."
    )
    cpu_s: int | None = Field(default=None, ge=1, description="CPU time of one program, in seconds.")

    @field_validator("template")
    @classmethod
    def known_template(cls, value: str | None) -> str | None:
        """Refuse a template that does not exist."""
        return value if value is None else one_of(value, dict(TEMPLATES), "template")

    @field_validator("extraction")
    @classmethod
    def known_extraction(cls, value: str | None) -> str | None:
        """Refuse an extraction that does not exist."""
        return value if value is None else one_of(value, dict(EXTRACTIONS), "extraction")


# The engine's threads wait for each other, so that each moment taken from one is taken from all.
IDLE = 19
# By task_id, as its authors split it; rows of EvalPlus have ids of another form and no split.
MBPP_SPLITS = {"prompt": (1, 10), "test": (11, 510), "validation": (511, 600), "train": (601, 974), "all": (1, 974)}
ASKING = set(Asking.model_fields)


class Condition(Asking):
    """One way to ask and grade; what it sets replaces the benchmark's setting."""

    label: Name = Field(description="Name of the condition in results and file names.")
    model: str = Field(
        default="base", description='"base", an adapter or other model by name, or with a service "auto".'
    )
    context: Context = Field(default="off", description="Evidence in the prompt; a service alone can put it there.")
    logprobs: bool = Field(default=False, description="Whether each token's log-probability is kept; of a service.")


class Decoding(Settings):
    """How tokens are chosen: greedy, or sampled with a seed."""

    temperature: float = Field(default=0, ge=0, description="0 is greedy.")
    top_p: float = Field(default=1, gt=0, le=1, description="Nucleus sampled from.")
    samples: int = Field(default=1, ge=1, description="Answers to each question.")
    seed: int = Field(default=0, ge=0, description="Seed of the first sample; the next ones count up.")
    k: list[int] = Field(default=[1], min_length=1, description="pass@k is estimated for each, and for 1.")

    @model_validator(mode="after")
    def possible(self) -> Self:
        """Greedy has one answer; pass@k needs k of them."""
        if self.temperature == 0 and self.samples > 1:
            raise ValueError(f'samples "{self.samples}" at temperature 0 are the same answer: give 1, or a temperature')
        for k in self.k:
            if not 1 <= k <= self.samples:
                raise ValueError(f'pass@k with k "{k}" needs {k} samples and has {self.samples}: raise samples')
        return self

    @property
    def label(self) -> str:
        """As scores name it."""
        if self.temperature == 0:
            return "greedy"
        nucleus = f",top_p={self.top_p:g}" if self.top_p < 1 else ""
        return f"T={self.temperature:g}{nucleus},n={self.samples}"


class BenchmarkSettings(Asking):
    """One set of items: its kind, where its rows are, how answers are judged."""

    benchmark: str = Field(description="Kind of benchmark, a name of catalogue.py.")
    name: Name = Field(default="", validate_default=False, description="Name in results; by default the kind.")
    path: Path | None = Field(default=None, description="JSON-lines file of its rows, plain or gzipped.")
    dataset: str | None = Field(default=None, description="Hugging Face data set id, or the folder of a copy.")
    subset: str | None = Field(default=None, description="Configuration of the data set.")
    split: str | None = Field(default=None, description="Split of the data set; by default the benchmark's own.")
    revision: str | None = Field(default=None, description="Commit of the data set.")
    tasks: TaskSettings | None = Field(default=None, description="doctests: the package whose documentation is asked.")
    exclude: list[str] = Field(default=[], description="Ids left out, such as rows whose reference fails.")
    conditions: list[str] | None = Field(default=None, description="Labels to ask it under; none means all.")
    draw: int | None = Field(default=None, ge=1, description="Ask this many items, drawn with seed 0; none asks all.")
    published: Published | None = Field(default=None, description="A score that others report.")
    evidence: Path | None = Field(
        default=None, description="Folder of an index whose evidence stands before each question, as a service puts it."
    )
    sandbox: SandboxConfig | None = Field(default=None, description="How programs are run.")

    @field_validator("benchmark")
    @classmethod
    def known_benchmark(cls, value: str) -> str:
        """Refuse a benchmark that does not exist."""
        return one_of(value, dict(BENCHMARKS), "benchmark")

    @model_validator(mode="after")
    def one_source(self) -> Self:
        """At most one place for the rows, and one at least where there is no default."""
        given = [name for name in ("path", "dataset", "tasks") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f'rows from "{given[0]}" and from "{given[1]}": name one source')
        if self.tasks is not None and self.benchmark != "doctests":
            raise ValueError(f'"tasks" is for doctests, not for "{self.benchmark}": give path or dataset')
        if self.path is not None and (self.subset or self.revision or (self.split and self.benchmark != "mbpp")):
            raise ValueError('"subset", "split" and "revision" are of data sets, and a file has none: take them away')
        if self.path is not None and self.split and self.split not in MBPP_SPLITS:
            raise ValueError(f'split "{self.split}" is none of MBPP: name one of {", ".join(MBPP_SPLITS)}')
        if self.extraction is not None and not self.kind.extraction:
            raise ValueError(f'extraction "{self.extraction}": "{self.benchmark}" reads answers by its own rules')
        if not given and not self.kind.dataset and self.kind.rows is None:
            raise ValueError(f'benchmark "{self.benchmark}" has no source of its own: give path or dataset')
        return self

    @property
    def kind(self) -> Benchmark:
        """What the catalogue says of it."""
        return BENCHMARKS[self.benchmark]

    @property
    def label(self) -> str:
        """Its name in results."""
        return self.name or self.benchmark


class Resolved(Settings):
    """Asking with every setting filled in."""

    template: str
    extraction: str
    max_tokens: int
    stop: list[str]
    limits: Limits


class OfflineSettings(Settings):
    """The engine that generates in this process."""

    model: str = Field(default="starter", description='Base: "starter", a local folder, or a Hugging Face id.')
    adapters: dict[str, Path] = Field(default={}, description="Specialists by name: folders of PEFT files.")
    others: dict[str, str] = Field(default={}, description="Further models by name, to be compared with the base.")
    max_model_len: int = Field(default=4096, ge=64, description="Longest prompt and answer together, in tokens.")
    max_num_seqs: int = Field(default=256, ge=1, description="Answers generated at once.")
    vllm_args: dict[str, str | int | float | bool | dict[str, str | int]] = Field(
        default={}, description="Further arguments of vLLM's engine, by its own names."
    )


class EvaluateConfig(Settings):
    """configs/training/evaluate*.yaml."""

    output: Path = Field(description="Folder of answers, grades and reports.")
    service: str | None = Field(default=None, description="Address of a running service to ask.")
    concurrency: int = Field(default=16, ge=1, description="Requests to the service under way at once.")
    offline: OfflineSettings | None = Field(default=None, description="The engine to ask, in this process.")
    baseline: str = Field(default="base", description="Label of the condition the others are paired with.")
    decodings: list[Decoding] = Field(default=[Decoding()], min_length=1, description="Each gives results of its own.")
    benchmarks: list[BenchmarkSettings] = Field(min_length=1)
    conditions: list[Condition] = Field(min_length=1)

    @model_validator(mode="after")
    def named(self) -> Self:
        """Names decide files and comparisons: each once, and the baseline one of them wherever it is compared with."""
        labels = [c.label for c in self.conditions]
        groups = (labels, [b.label for b in self.benchmarks], [d.label for d in self.decodings])
        for twice in {name for group in groups for name in group if group.count(name) > 1}:
            raise ValueError(f'"{twice}" is there twice: name each once')
        if self.baseline not in labels:
            raise ValueError(f'baseline "{self.baseline}" is no condition: name one of {", ".join(labels)}')
        for benchmark in self.benchmarks:
            asked = labels if benchmark.conditions is None else benchmark.conditions
            if unknown := [label for label in asked if label not in labels]:
                raise ValueError(
                    f'"{benchmark.label}" names the condition "{unknown[0]}": name some of {", ".join(labels)}'
                )
            if self.baseline not in asked:
                raise ValueError(f'"{benchmark.label}" leaves the baseline "{self.baseline}" out: add it to conditions')
        return self

    @model_validator(mode="after")
    def answered(self) -> Self:
        """One thing answers, and it can do what is asked of it."""
        if (self.service is None) == (self.offline is None):
            raise ValueError("either a running `service` answers or an `offline` engine: give one of them")
        for condition in self.conditions:
            if self.offline is not None:
                refuse_offline(self.offline, condition)
            else:
                refuse_begun(self.benchmarks, condition)
        return self


def refuse_offline(offline: OfflineSettings, condition: Condition) -> None:
    """Raise ValueError on a condition that the engine has no model for, or no gate."""
    known = ["base", *offline.adapters, *offline.others]
    if condition.model not in known:
        raise ValueError(f'model "{condition.model}" is not known: name one of {", ".join(known)}, or add it')
    if condition.context != "off":
        raise ValueError(f'context "{condition.context}" needs a service, which has the gate: give "off"')
    if condition.logprobs:
        raise ValueError('logprobs "true" are kept of a service alone: leave it out, or name a `service`')


def refuse_begun(benchmarks: list[BenchmarkSettings], condition: Condition) -> None:
    """Raise ValueError on a template that begins the answer: a service writes its answers from the start."""
    for benchmark in benchmarks:
        template = resolve(benchmark, condition).template
        if TEMPLATES[template]("").prefix:
            raise ValueError(
                f'template "{template}" of "{benchmark.label}" begins the answer, which a service does not: give '
                "another template, or an `offline` engine"
            )


def asked_under(config: EvaluateConfig, benchmark: BenchmarkSettings) -> list[Condition]:
    """The conditions of one benchmark."""
    wanted = benchmark.conditions
    return [condition for condition in config.conditions if wanted is None or condition.label in wanted]


def resolve(benchmark: BenchmarkSettings, condition: Condition) -> Resolved:
    """The condition's settings, else the benchmark's, else its kind's."""
    asked = {**benchmark.model_dump(include=ASKING), **condition.model_dump(include=ASKING, exclude_none=True)}
    limits, cpu_s = sandbox_of(benchmark).limits, asked["cpu_s"]
    if cpu_s is not None:
        limits = limits.model_copy(update={"cpu_s": cpu_s, "wall_s": 4.0 * cpu_s})
    return Resolved(
        template=asked["template"] or benchmark.kind.template,
        extraction=asked["extraction"] or benchmark.kind.extraction,
        max_tokens=asked["max_tokens"] or 512,
        stop=list(benchmark.kind.stop) if asked["stop"] is None else asked["stop"],
        limits=limits,
    )


def sandbox_of(benchmark: BenchmarkSettings) -> SandboxConfig:
    """How a benchmark's programs are run."""
    if benchmark.sandbox is not None:
        return benchmark.sandbox
    limits = Limits(cpu_s=10, wall_s=40, memory_mib=4096, judge_cpu_s=60)
    return SandboxConfig(nice=IDLE, preload=list(benchmark.kind.preload), limits=limits)


def slug(text: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^A-Za-z0-9.+_-]+", "_", text)
