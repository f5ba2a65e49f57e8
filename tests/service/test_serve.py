"""The process: one line when ready, one message and exit code 2 when it cannot start, 0 when it is told to stop."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from service.serve import serve; sys.exit(serve(sys.argv[1], port=0))"


def start(config: Path) -> subprocess.Popen[str]:
    """The service as a process."""
    command = [sys.executable, "-c", PROGRAM, str(config)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refused(config: Path) -> str:
    """What a service says that does not start."""
    process = start(config)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert out == ""
    assert "Traceback" not in err
    return err.strip().splitlines()[-1]


def test_it_says_where_it_listens_and_stops_with_0() -> None:
    """Port 0 takes a free port, which the line names."""
    process = start(ROOT / "configs/service/echo.yaml")
    line = process.stdout.readline()
    url = re.fullmatch(r"Pointsman is ready: (http://127\.0\.0\.1:\d+/v1)\n", line).group(1)
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
    assert httpx.post(f"{url}/chat/completions", json=body).json()["choices"][0]["message"]["content"] == "hello"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert err == ""


def test_a_wrong_configuration_is_one_message(tmp_path: Path) -> None:
    """With the file and the key."""
    path = tmp_path / "mine.yaml"
    path.write_text("modle: x")
    assert refused(path).startswith(f'pointsman: {path}: unknown key "modle"')


def test_an_address_in_use_is_one_message(tmp_path: Path) -> None:
    """Before anything is loaded."""
    path = tmp_path / "mine.yaml"
    path.write_text("engine: echo\nhost: 256.0.0.1\n")
    assert 'cannot listen on "256.0.0.1:0"' in refused(path)


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Before a request could reach a half-loaded service."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"engine: echo\nbundles: [{tmp_path / 'nothing'}]\n")
    assert f'bundle "{tmp_path / "nothing"}" has no manifest.json' in refused(path)
