"""Which encoder: what a config says, and the id that an index is told apart by.

As text an encoder is MODEL[:BACKEND][:MAX_TOKENS], such as `starter`, `starter:onnx-int8` or `starter:onnx-int8:128`.
The same text, with the model's own name for `starter`, is the id in index.json and manifest.json.

An index is searched only by the encoder it was embedded with, whole id and fingerprint. Cosines of int8 queries with
float documents are off by 0.004 on average, and a quarter of the queries have less than 0.006 between their first
document and their second; the gate's threshold was chosen on the cosines of one encoder; and embedding a library's
documents again takes a minute.

Light: imports no library of models.
"""

import re
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from index.config import Settings

STARTER_ID = "all-MiniLM-L6-v2"
Backend = Literal["torch", "onnx-int8", "static"]
BACKENDS: tuple[str, ...] = get_args(Backend)
SPELLED = re.compile(rf"(?P<model>.+?)(?::(?P<backend>{'|'.join(BACKENDS)}))?(?::(?P<max_tokens>\d+))?")


class EncoderConfig(Settings):
    """The key `encoder` of a config: text as above, or these keys."""

    model: str = Field(default="starter", min_length=1, description='"starter", a local folder, or a Hugging Face id.')
    backend: Backend = Field(
        default="torch",
        description="torch: any sentence-transformers model; onnx-int8: quantised for a CPU; static: token vectors.",
    )
    threads: int = Field(default=1, ge=1, description="Texts that onnx-int8 embeds at once, each on one core (count).")
    max_tokens: int | None = Field(
        default=None, ge=8, description="Texts are cut after so many tokens; by default where the model ends."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        return spelled_out(value) if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _write_text(self, as_keys: SerializerFunctionWrapHandler) -> Any:
        """As text where that says all: a run's stored config stays equal to the one it was started with."""
        return spelled(self.model, self.backend, self.max_tokens) if self.threads == 1 else as_keys(self)

    @property
    def id(self) -> str:
        """What tells this encoder from others whose vectors differ; threads change nothing."""
        return spelled(STARTER_ID if self.model == "starter" else self.model, self.backend, self.max_tokens)

    @property
    def short_name(self) -> str:
        """The model's name without its folder or owner, for names of files."""
        return STARTER_ID if self.model == "starter" else Path(self.model).name


# What indexes and bundles are embedded by, unless a config says otherwise.
STARTER_QUICK = EncoderConfig(backend="onnx-int8", max_tokens=128)


def spelled(model: str, backend: str, max_tokens: int | None) -> str:
    """MODEL[:BACKEND][:MAX_TOKENS]."""
    parts = [model, "" if backend == "torch" else backend, str(max_tokens or "")]
    return ":".join(part for part in parts if part)


def spelled_out(text: str) -> dict[str, Any]:
    """The keys of an encoder given as text; raises ValueError on a backend that does not exist."""
    found = SPELLED.fullmatch(text)
    keys = {key: value for key, value in found.groupdict().items() if value} if found else {"model": text}
    model, colon, rest = keys["model"].rpartition(":")
    if colon and not Path(keys["model"]).expanduser().exists():
        raise ValueError(f'backend "{rest}" of encoder "{model}" is unknown: the backends are {", ".join(BACKENDS)}')
    return keys | {"model": "starter" if keys["model"] == STARTER_ID else keys["model"]}
