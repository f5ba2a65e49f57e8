"""The command line: one message for a refusal, help for a mistake, nothing heavy before it is needed."""

import json
from pathlib import Path

import pytest

import doctor
import index.errors
import pointsman
import service.errors
import starter.errors
import training.errors


def test_a_refusal_is_one_message_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "index.yaml"
    config.write_text("packages: polars\n")
    assert pointsman.main(["index", "build", str(config)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"pointsman: {config}: ")
    assert '"packages"' in output.err
    assert "Traceback" not in output.err


def test_a_config_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert pointsman.main(["train", "sft", "/absent/config.yaml"]) == 2
    assert "/absent/config.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["index"], ["index", "fly"], ["serve"], ["train", "fly", "x"], ["sandbox", "run", "x"]]
)
def test_a_mistyped_command_shows_help_and_what_is_wrong(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        pointsman.main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("usage: pointsman")
    assert "show this help message" in error


def test_errors_that_are_no_refusals_keep_their_traceback() -> None:
    assert not pointsman.is_refusal(ValueError("a bug"))


def test_every_root_error_of_a_part_is_a_refusal() -> None:
    roots = (
        index.errors.IndexFault,
        service.errors.ServiceError,
        starter.errors.StarterError,
        training.errors.TrainingFault,
    )
    for root in roots:
        assert pointsman.is_refusal(type("Derived", (root,), {})("message"))


def test_doctor_reports_every_topic_and_fails_only_on_faults(capsys: pytest.CaptureFixture[str]) -> None:
    status = pointsman.main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {finding["topic"] for finding in findings} == {
        "software", "processor", "memory", "speed", "models", "bundles",
    }  # fmt: skip
    assert status == int(any(finding["state"] == "fault" for finding in findings))
    assert all(finding["cure"] for finding in findings if finding["state"] != "ok")


def test_doctor_survives_a_broken_part() -> None:
    """What raises becomes a finding, and the other examinations still report."""

    def broken() -> list[doctor.Finding]:
        raise ImportError("libtorch.so: cannot open shared object file")

    (finding,) = doctor.attempt(broken)
    assert finding.state == "fault"
    assert "libtorch.so" in finding.value


def test_doctor_says_what_is_not_built_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_HOME", str(tmp_path / "not" / "yet"))
    findings = {finding.name: finding for finding in doctor.models()}
    assert findings["folder"].value == str(tmp_path / "not" / "yet")
    assert findings["all-minilm-l6-v2-0.1.0"].value == "not built yet"
    assert findings["all-minilm-l6-v2-0.1.0"].cure == "built by `make serve`"


def sandbox_run(tmp_path: Path, *more: str) -> list[str]:
    """The command line for one program and its check."""
    (tmp_path / "solution.py").write_text("def f(x):\n    print('hello')\n    return x + 1\n")
    (tmp_path / "test.py").write_text("def check(candidate):\n    assert candidate(1) == 2\n")
    files = [str(tmp_path / "solution.py"), "--test", str(tmp_path / "test.py")]
    return ["sandbox", "run", *files, "--entry-point", "f", *more]


def test_a_program_run_from_the_command_line_gives_one_line_of_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pointsman.main(sandbox_run(tmp_path, "--json")) == 0
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (said["verdict"], said["stdout"]) == ("passed", "hello\n")
    assert "landlock" in said["isolation"]
    assert 0 < said["cpu_s"] < 5


@pytest.mark.parametrize("more", [["--cpu-s", "0"], ["--cpu-s", "x"], ["--memory-mib", "1"]])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        pointsman.main(sandbox_run(tmp_path, *more))
    assert caught.value.code == 2
    assert more[1] in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = sandbox_run(tmp_path)
    (tmp_path / "test.py").unlink()
    assert pointsman.main(command) == 2
    assert "test.py" in capsys.readouterr().err
