"""What a benchmark writes says nothing about the folders of the machine it ran on."""

from pathlib import Path

import pytest

from benchmarks.service_overhead import ROOT, without_folders


def test_folders_of_the_machine_are_written_as_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's cache, the working tree and the home folder; the rest of each path is kept."""
    monkeypatch.setenv("POINTSMAN_HOME", str(tmp_path))
    folders = f"{tmp_path}/models/tiny", f"{ROOT}/bundles/polars", f"{Path.home()}/x"
    assert without_folders(" ".join(folders)) == "$POINTSMAN_HOME/models/tiny ./bundles/polars ~/x"


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "results").glob("*.json")), ids=lambda path: path.name)
def test_stored_results_name_no_folder_of_a_machine(path: Path) -> None:
    """Nor do the files in the repository."""
    text = path.read_text()
    assert [start for start in ("/root/", "/home/", "/work/", "/Users/", "/tmp/") if start in text] == []
