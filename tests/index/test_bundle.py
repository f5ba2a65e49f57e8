"""What a bundle must survive, and what must stop the service before it starts, each naming the file."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from index.bundle import BaseFacts, base_facts, file_facts, load_bundle, write_manifest
from index.calibrate import calibrate
from index.calibration import Calibration
from index.documents import Document
from index.errors import BundleError
from index.store import Index, make_index
from tests.index.conftest import DIMENSION, encode
from tests.index.test_calibrate import examples

WIDTH, OUT, RANK = 32, 48, 4
MODULE = "model.layers.0.self_attn.q_proj"


class WordEncoder:
    """A real, model-free encoder with the interface of index.embed.Encoder."""

    id = "words"
    dimension = DIMENSION

    def __init__(self, fingerprint: str = "") -> None:
        self.fingerprint = fingerprint

    def encode(self, texts: list[str]) -> np.ndarray:
        """Unit vectors (N, D)."""
        return encode(texts)


def write_base(folder: Path, seed: int = 0) -> Path:
    """A base of one matrix."""
    folder.mkdir()
    weights = torch.randn(OUT, WIDTH, generator=torch.Generator().manual_seed(seed))
    save_file({f"{MODULE}.weight": weights}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"_name_or_path": "toy/base"}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


def write_adapter(folder: Path, tensors: dict[str, torch.Tensor] | None = None, **config: Any) -> None:
    """A PEFT folder for the toy base; tensors and configuration can be replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"base_model.model.{MODULE}"
    default = {f"{prefix}.lora_A.weight": torch.ones(RANK, WIDTH), f"{prefix}.lora_B.weight": torch.ones(OUT, RANK)}
    save_file(default | (tensors or {}), folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8, "target_modules": ["q_proj"], **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings))


def seal(folder: Path, base: BaseFacts, **changes: object) -> None:
    """Write the manifest over whatever the folder holds now."""
    facts = {
        "name": "toy", "base": base.id, "base_fingerprint": base.fingerprint, "template_hash": base.template_hash,
        "rank": RANK, "target_modules": ["q_proj"], "encoder": "words", "dimension": DIMENSION, "names": ["toytable"],
        "context": True, "seed": 0, "data": {}, "contamination": "none", "versions": {}, "git_commit": "unknown",
    }  # fmt: skip
    write_manifest(folder, facts | changes)


@cache
def calibration() -> Calibration:
    """A true one, made once."""
    return calibrate(examples(100, 3.0), ("top",), risks={"out_of_domain": 0.1}, delta=0.1)


@pytest.fixture
def base(tmp_path: Path) -> BaseFacts:
    return base_facts(write_base(tmp_path / "base"))


@pytest.fixture
def bundle(tmp_path: Path, index: Index, base: BaseFacts) -> Path:
    folder = tmp_path / "toy"
    write_adapter(folder / "adapter")
    index.save(folder / "index")
    (folder / "calibration.json").write_text(calibration().model_dump_json())
    seal(folder, base)
    return folder


def refused(bundle: Path, base: BaseFacts, *parts: str) -> None:
    """Loading must fail with one message that holds every part."""
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle, base=base, encoder=WordEncoder())  # type: ignore[arg-type]
    for part in parts:
        assert part in str(caught.value)


def test_a_whole_bundle_loads_and_answers(bundle: Path, base: BaseFacts) -> None:
    """Evidence, features, score and probability of a query come from the bundle alone."""
    specialist = load_bundle(bundle, base=base, encoder=WordEncoder())  # type: ignore[arg-type]
    query = "Add all rows with sum"
    found = specialist.retrieve(query, encode([query])[0])
    assert found.hits[0].document.symbol == "toytable.Table.total"
    assert found.score == found.features["top"] == found.hits[0].score
    assert found.probability == specialist.calibration.probability(found.features)
    assert (specialist.name, specialist.context) == ("toy", True)


def test_a_probe_of_other_dimensions_is_refused_and_one_that_fits_is_asked(bundle: Path, base: BaseFacts) -> None:
    """A probe is fitted on the vectors of one encoder."""
    for dimensions in (DIMENSION, 7):
        probe = {"weights": [1.0] * dimensions, "intercept": 0.5}
        logistic = {name: [*getattr(calibration(), name), 1.0] for name in ("mean", "scale", "coefficients")}
        changed = calibration().model_dump() | logistic | {"features": ["top", "probe"], "probe": probe}
        (bundle / "calibration.json").write_text(json.dumps(changed))
        seal(bundle, base)
        if dimensions == 7:
            refused(bundle, base, 'has a probe of "7" dimensions, its index 64')
            return
        vector = encode(["Add all rows with sum"])[0]
        found = load_bundle(bundle, base=base, encoder=WordEncoder()).retrieve("Add all rows", vector)  # type: ignore[arg-type]
        assert found.features["probe"] == pytest.approx(0.5 + float(vector.sum()), abs=1e-5)


def test_a_bundle_without_manifest_is_incomplete(bundle: Path, base: BaseFacts) -> None:
    """The manifest is written last: its absence means a build that was killed."""
    (bundle / "manifest.json").unlink()
    refused(bundle, base, "has no manifest.json", "incomplete")


@pytest.mark.parametrize(
    "name",
    ["adapter/adapter_model.safetensors", "adapter/adapter_config.json", "index/vectors.faiss", "calibration.json"],
)
def test_each_missing_truncated_or_altered_file_is_named(bundle: Path, base: BaseFacts, name: str) -> None:
    """Three ways a copy goes wrong, told apart."""
    path = bundle / name
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    refused(bundle, base, name, "truncated")
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    refused(bundle, base, name, "altered")
    path.unlink()
    refused(bundle, base, name, "missing")


def test_a_manifest_that_is_no_json_is_named(bundle: Path, base: BaseFacts) -> None:
    """A cut manifest."""
    path = bundle / "manifest.json"
    path.write_text(path.read_text()[:100])
    refused(bundle, base, "manifest.json", "cannot be read")


def rewrite(bundle: Path, **changes: object) -> None:
    """Change keys of the manifest alone."""
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def list_also(bundle: Path, name: str, facts: object) -> None:
    """Put one more file into the manifest."""
    rewrite(bundle, files=json.loads((bundle / "manifest.json").read_text())["files"] | {name: facts})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank": "four", "seed": None}, 'key "rank" is "four"'),
        ({"name": "No Name"}, 'key "name" is "No Name"'),
        ({"ranks": 4}, 'unknown key "ranks": the keys here are base,'),
        ({"files": ["a\nb"]}, 'key "files" is "[\'a'),
    ],
)
def test_a_manifest_of_another_shape_is_refused_in_one_line(
    bundle: Path, base: BaseFacts, changes: dict[str, object], message: str
) -> None:
    """An operator reads what is wrong, not how the check is made."""
    rewrite(bundle, **changes)
    with pytest.raises(BundleError) as caught:
        load_bundle(bundle, base=base, encoder=WordEncoder())  # type: ignore[arg-type]
    assert f'manifest "{bundle / "manifest.json"}" cannot be read' in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and "pydantic" not in str(caught.value)


def test_a_file_name_no_file_system_holds_is_refused(bundle: Path, base: BaseFacts) -> None:
    """The system's own error would be a traceback."""
    list_also(bundle, "adapter/" + "a" * 300, {"bytes": 1, "sha256": ""})
    refused(bundle, base, "aaa", "too long", "copy the bundle again")


@pytest.mark.parametrize("name", ["../outside", "adapter/../../outside", "{absolute}"])
def test_a_file_outside_the_bundle_is_refused_although_its_hash_is_right(
    bundle: Path, base: BaseFacts, name: str
) -> None:
    """A manifest cannot have other files of the machine opened."""
    outside = bundle.parent / "outside"
    outside.write_text("not of this bundle")
    name = name.format(absolute=outside)
    list_also(bundle, name, file_facts(outside).model_dump())
    refused(bundle, base, f'lists "{name}"', "outside the bundle")


@pytest.mark.parametrize("name", ["adapter/added.safetensors", "adapter/deep/added", "index/vectors.old"])
def test_a_file_the_manifest_does_not_list_is_refused(bundle: Path, base: BaseFacts, name: str) -> None:
    """The engine reads the adapter's whole folder, so whatever lies there was checked."""
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("")
    refused(bundle, base, f'"{bundle / name}" is not listed', "remove it")
    (bundle / name).unlink()
    (bundle / name).symlink_to(bundle.parent)
    refused(bundle, base, f'"{bundle / name}" is not listed')


def test_another_base_is_refused_naming_both(bundle: Path, base: BaseFacts, tmp_path: Path) -> None:
    """Same shapes, other weights: nothing but the fingerprint would notice."""
    other = base_facts(write_base(tmp_path / "other", seed=1))
    refused(bundle, other, base.fingerprint[:12], other.fingerprint[:12])


def test_another_chat_template_is_refused(bundle: Path, tmp_path: Path) -> None:
    """An adapter trained on one rendering is worse than base on another."""
    shutil.copytree(tmp_path / "base", tmp_path / "templated")
    (tmp_path / "templated" / "chat_template.jinja").write_text("{{ other }}")
    refused(bundle, base_facts(tmp_path / "templated"), "chat template")


def test_another_encoder_is_refused_naming_both(bundle: Path, base: BaseFacts) -> None:
    """Distances between two encoders' vectors mean nothing, whatever both are called."""
    with pytest.raises(
        BundleError, match=r'embedded by "words  \(64\)", but "words 0123456789ab \(64\)" is loaded: name'
    ):
        load_bundle(bundle, base=base, encoder=WordEncoder("0123456789abcdef"))  # type: ignore[arg-type]


def test_an_encoder_may_lie_elsewhere_by_now(bundle: Path, base: BaseFacts) -> None:
    """A folder of another name with the same weights gives the same vectors."""
    encoder = WordEncoder()
    encoder.id = "/models/words"
    assert load_bundle(bundle, base=base, encoder=encoder).name == "toy"  # type: ignore[arg-type]


def test_an_index_of_other_dimensions_is_refused_naming_them(
    bundle: Path, base: BaseFacts, documents: list[Document]
) -> None:
    """The same encoder's name on both sides would say nothing."""
    vectors_ND = encode([d.text for d in documents])[:, :32]
    make_index(documents, vectors_ND, "words").save(bundle / "index")
    seal(bundle, base)
    refused(bundle, base, 'embedded by "words  (32)", but "words  (64)" is loaded')


@pytest.mark.parametrize(
    ("tensors", "config", "parts"),
    [
        ({"lora_A.weight": torch.full((RANK, WIDTH), float("nan"))}, {}, ("NaN", "lora_A")),
        ({"lora_B.weight": torch.full((OUT, RANK), float("inf"))}, {}, ("infinite", "lora_B")),
        ({"lora_A.weight": torch.ones(RANK + 1, WIDTH)}, {}, ("shape (5, 32)", "(4, 32)")),
        ({"lora_A.weight": torch.ones(RANK, WIDTH + 1)}, {}, ("shape (4, 33)", "another")),
        ({}, {"r": RANK * 2}, ("shape", "rank 8")),
        ({}, {"r": "four"}, ("adapter_config.json", '"four"')),
        ({}, {"peft_type": "IA3"}, ('"IA3"', "LoRA")),
        ({}, {"use_dora": True}, ("use_dora", "not served")),
        ({}, {"use_rslora": True}, ("use_rslora", "not served")),
        ({}, {"lora_alpha": float("nan")}, ("adapter_config.json", 'lora_alpha "nan"')),
        ({}, {"lora_alpha": 1e308}, ("adapter_config.json", "lora_alpha")),
        ({}, {"lora_alpha": None}, ("adapter_config.json", 'lora_alpha "None"')),
        ({"lora_A.weight": torch.ones(RANK, WIDTH, dtype=torch.int64)}, {}, ("torch.int64", "bfloat16")),
        ({}, {"rank_pattern": {"q_proj": 8}}, ("adapter_config.json", "rank_pattern \"{'q_proj': 8}\"", "not served")),
        ({}, {"alpha_pattern": {"q_proj": 9}}, ("adapter_config.json", "alpha_pattern", "not served")),
        ({}, {"bias": "lora_only"}, ("adapter_config.json", 'bias "lora_only"', 'with bias "none"')),
    ],
)  # fmt: skip
def test_an_adapter_the_engine_would_swallow_is_refused(
    bundle: Path, base: BaseFacts, tensors: dict[str, torch.Tensor], config: dict[str, Any], parts: tuple[str, ...]
) -> None:
    """Non-finite weights, other widths, other ranks: vLLM takes each of them without a word."""
    write_adapter(bundle / "adapter", {f"base_model.model.{MODULE}.{n}": t for n, t in tensors.items()}, **config)
    seal(bundle, base)
    refused(bundle, base, *parts)


@pytest.mark.parametrize(("kept", "missing"), [("A", "B"), ("B", "A")])
def test_half_an_adapter_is_refused(bundle: Path, base: BaseFacts, kept: str, missing: str) -> None:
    """A without B, or B without A, would change nothing, in silence."""
    name = f"base_model.model.{MODULE}.lora_{kept}.weight"
    shape = (RANK, WIDTH) if kept == "A" else (OUT, RANK)
    save_file({name: torch.ones(shape)}, bundle / "adapter" / "adapter_model.safetensors")
    seal(bundle, base)
    refused(bundle, base, "adapter_model.safetensors", f'"{name}" without', f"lora_{missing}.weight", "export")


def test_a_tensor_of_a_layer_the_base_lacks_is_refused(bundle: Path, base: BaseFacts) -> None:
    """Layer 77 of a model with one layer."""
    write_adapter(
        bundle / "adapter", {"base_model.model.model.layers.77.self_attn.q_proj.lora_A.weight": torch.ones(4, 32)}
    )
    seal(bundle, base)
    refused(bundle, base, "layers.77", "another base")


def test_a_safetensors_file_cut_before_it_was_sealed_is_refused(bundle: Path, base: BaseFacts) -> None:
    """Hashes agree, the header does not: the export itself was cut."""
    path = bundle / "adapter" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-64])
    seal(bundle, base)
    refused(bundle, base, "adapter_model.safetensors", "truncated")


def test_a_rank_the_manifest_denies_is_refused(bundle: Path, base: BaseFacts) -> None:
    """Manifest and adapter must tell the same."""
    seal(bundle, base, rank=16)
    refused(bundle, base, 'rank "16"')


def test_a_base_without_safetensors_is_refused(tmp_path: Path) -> None:
    """The shapes are read from that format only."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BundleError, match="safetensors"):
        base_facts(tmp_path)


@pytest.mark.parametrize("position", [-1, 200])
def test_the_fingerprint_sees_changed_weights(tmp_path: Path, position: int) -> None:
    """A tensor's first and last blocks are always among those sampled."""
    before = base_facts(write_base(tmp_path / "base"))
    path = tmp_path / "base" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))
    assert base_facts(tmp_path / "base").fingerprint != before.fingerprint


def test_the_fingerprint_sees_every_single_tensor(tmp_path: Path) -> None:
    """Small ones between large ones as well: a norm or a bias that was zeroed is another base."""
    folder = write_base(tmp_path / "base")
    path = folder / "model.safetensors"
    sizes = {f"model.layers.{i}.{name}": size for i in range(20) for name, size in (("mlp", 1 << 18), ("norm", 256))}
    save_file({f"{name}.weight": torch.ones(size) for name, size in sizes.items()}, path)
    before, header_bytes = base_facts(folder).fingerprint, int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + header_bytes])
    unseen = []
    for name in sizes:
        begin, end = header[f"{name}.weight"]["data_offsets"]
        with path.open("r+b") as file:
            file.seek(8 + header_bytes + begin)
            content = file.read(end - begin)
            file.seek(8 + header_bytes + begin)
            file.write(bytes(end - begin))
            file.flush()
            if base_facts(folder).fingerprint == before:
                unseen.append(name)
            file.seek(8 + header_bytes + begin)
            file.write(content)
    assert unseen == []
    assert base_facts(folder).fingerprint == before
