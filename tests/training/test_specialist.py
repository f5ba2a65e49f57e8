import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import pointsman
from index.bundle import read_manifest
from index.config import read_config
from index.errors import CorpusError
from index.sources.docstrings import PublicObject
from index.sources.package import public_objects
from training.config import SftConfig
from training.derive import gate_config, refuse_changed, sft_config, write_config
from training.errors import StageError, TaskError
from training.gate.config import GateConfig
from training.preamble import preambles, with_preamble
from training.specialist import checked, create, forget_training, refuse_too_few
from training.stages.start import open_run
from training.tasks import Task, TaskSource, read_tasks

# The docs of other packages are read name by name, deprecated names too.
DEPRECATED = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SOURCE = TaskSource("statistics", "from statistics import *", 3, 0.0, 0, {}, "", (), "literals")


def derived(steps: int = -1) -> SftConfig:
    """The config of a specialist for `statistics`."""
    return sft_config(SOURCE, "statistics", 40, model="tiny", bundle=Path("bundles/statistics"), max_steps=steps)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the working folder: configs, runs and bundles are named from it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_package_that_cannot_become_a_specialist_is_refused_before_anything_is_written(here: Path) -> None:
    """Each with what to do instead."""
    with pytest.raises(CorpusError, match=r'"no_such_package" cannot be imported .*: install it'):
        create("no_such_package")
    with pytest.raises(TaskError, match=r'"-thread" is no bundle\'s name: .* by --name'):
        create("_thread")
    with pytest.raises(TaskError, match=r'"csv" documents \d+ objects and displays no value'):
        create("csv", model=str(resolve_nothing(here)))
    assert not (here / "configs").exists() and not (here / "runs").exists()


def resolve_nothing(folder: Path) -> Path:
    """A model folder that is never read."""
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    return model


def test_a_name_is_what_a_bundle_may_be_called() -> None:
    assert checked("scikit-learn") == "scikit-learn"
    for name in ("", "-a", "A", "a_b", "a/b", "a" * 42):
        with pytest.raises(TaskError, match=f'"{name}" is no bundle'):
            checked(name)


def test_the_preamble_is_the_one_under_which_doctests_run() -> None:
    """Some docs write bare names, some a short name; the plainest counts where it does not matter."""
    assert with_preamble(SOURCE, public_objects("statistics")).preamble == "from statistics import *"
    textwrap = replace(SOURCE, package="textwrap")
    examples = {"import textwrap": "textwrap.", "import textwrap as tw": "tw.", "from textwrap import *": ""}
    for preamble, prefix in examples.items():
        docstring = f"Like `import textwrap as tw`.\n\n>>> {prefix}dedent(' a')\n'a'\n"
        assert with_preamble(textwrap, [PublicObject("textwrap.dedent", "", docstring)]).preamble == preamble
    assert preambles("textwrap", []) == ["import textwrap", "from textwrap import *"]


def test_doctests_none_of_which_runs_are_refused() -> None:
    broken = [PublicObject("textwrap.dedent", "", ">>> dedent(missing)\n'a'\n")]
    with pytest.raises(TaskError, match=r"none of 1 doctests .* runs after 'import textwrap' or"):
        with_preamble(replace(SOURCE, package="textwrap"), broken)


def test_a_small_package_holds_less_out_and_sees_its_rows_more_often() -> None:
    large = sft_config(SOURCE, "s", 2000, bundle=Path("bundles/s"), max_steps=-1)
    assert (derived().sft.epochs, derived().tasks.held_out_share) == (3, 0.1)
    assert (large.sft.epochs, large.tasks.held_out_share) == (1, 0.2)


def test_the_names_are_those_users_write() -> None:
    """As imported, as installed, and in short."""
    source = replace(SOURCE, package="sklearn", preamble="import sklearn as sk")
    assert sft_config(source, "sklearn", 1, bundle=Path("b"), max_steps=-1).names == ["sklearn", "scikit-learn", "sk"]


def test_the_gate_is_calibrated_on_other_packages_and_the_lists_that_are_here(here: Path) -> None:
    """Never on the package itself."""
    (here / "configs/queries").mkdir(parents=True)
    for name in ("general", "statistics", "statistics-nameless"):
        (here / f"configs/queries/{name}.txt").write_text("Why?\n")
    sets = gate_config(derived()).sets
    assert [one.tasks for one in sets if one.outcome == "in"] == [Path("runs/statistics-sft/tasks.jsonl")]
    assert {"json", "itertools"} < {one.package for one in sets} and "statistics" not in {one.package for one in sets}
    assert [one.list and one.list.stem for one in sets if one.list] == ["general", "general"]


def test_a_written_config_is_complete_and_reads_as_what_was_written(here: Path) -> None:
    """Its first line is the command that runs it."""
    config = derived()
    gate = gate_config(config)
    write_config(Path("sft.yaml"), "train sft", config)
    write_config(Path("gate.yaml"), "gate evaluate", gate, brief=True)
    assert Path("sft.yaml").read_text().startswith("# pointsman train sft sft.yaml\n")
    assert read_config("sft.yaml", SftConfig) == config
    assert read_config("gate.yaml", GateConfig) == gate


def test_an_own_config_is_written_again_and_a_changed_one_is_kept(here: Path) -> None:
    """By hand is by hand, down to a comment."""
    path = Path("configs/sft.yaml")
    write_config(path, "train sft", derived())
    write_config(path, "train sft", derived(steps=5))
    assert yaml.safe_load(path.read_text())["sft"]["max_steps"] == 5
    for change in ("# mine\n" + path.read_text(), path.read_text() + "# mine\n", "name: statistics\n"):
        path.write_text(change)
        with pytest.raises(TaskError, match=r'"configs/sft.yaml" was written or changed by hand'):
            refuse_changed(path)
        with pytest.raises(TaskError, match="by hand"):
            write_config(path, "train sft", derived())
        assert path.read_text() == change


def test_a_dry_run_goes_on_with_another_base_and_a_trained_one_does_not(here: Path) -> None:
    """Its tasks do not depend on what is trained; an adapter does."""
    open_run(derived())
    other = derived(steps=7)
    forget_training(other)
    open_run(other)
    assert json.loads((other.run / "config.json").read_text())["sft"]["max_steps"] == 7
    (other.run / "checkpoint-1").mkdir()
    forget_training(derived())
    with pytest.raises(StageError, match="another configuration"):
        open_run(derived())


@DEPRECATED
def test_too_few_methods_or_queries_are_refused_before_training(here: Path, tasks: list[Task]) -> None:
    """Hours later the gate could not be calibrated."""
    config = derived()
    gate = gate_config(config)
    with pytest.raises(TaskError, match=r'"statistics" gives tasks of "2" methods to train on, and its gate needs 15'):
        refuse_too_few(config, gate, tasks[:1] + tasks[-1:])
    many = [replace(tasks[0], symbol=f"statistics.f{n}", reference=f"result = f({n})\n") for n in range(15)]
    config.run.mkdir(parents=True)
    (config.run / "tasks.jsonl").write_text("".join(json.dumps(vars(task)) + "\n" for task in many))
    few = gate.model_copy(update={"sets": gate.sets[:4]})
    with pytest.raises(TaskError, match=r"queries about something else are too few for the gate, which needs 447"):
        refuse_too_few(config, few, many)


@DEPRECATED
@pytest.mark.assets
def test_one_command_makes_a_bundle_of_a_package(
    here: Path, small_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run first, which trains nothing and says what there is; then the same command goes on from there."""
    command = ["specialist", "create", "--package", "statistics", "--model", str(small_model)]
    assert pointsman.main([*command, "--dry-run"]) == 0
    told = capsys.readouterr().out
    made = read_tasks(here / "runs/statistics-sft/tasks.jsonl")
    assert f"{len(made)} tasks after `from statistics import *`" in told and "nothing was trained" in told
    assert not (here / "bundles").exists()
    written = (here / "runs/statistics-sft/tasks.jsonl").stat().st_mtime_ns
    assert pointsman.main([*command, "--steps", "2"]) == 0
    assert "  - bundles/statistics" in capsys.readouterr().out.splitlines()
    assert (here / "runs/statistics-sft/tasks.jsonl").stat().st_mtime_ns == written
    manifest = read_manifest(here / "bundles/statistics")
    assert (manifest.name, manifest.names, manifest.rank) == ("statistics", ("statistics",), 16)
