"""The process: one line when ready, one message and exit code 2 when it cannot start, 0 when it is told to stop."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.serve import serve

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


ECHO = ROOT / "configs/service/echo.yaml"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"port": 99999}, 'key "port" is "99999": Input should be less than or equal to 65535'),
        ({"port": -1}, 'key "port" is "-1": Input should be greater than or equal to 0'),
        ({"host": ""}, 'key "host" is "": String should have at least 1 character'),
    ],
)
def test_an_address_on_the_command_line_is_checked_as_the_files_own(
    address: dict[str, str | int], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty host would listen on every address of the machine."""
    assert serve(ECHO, **address) == 2
    assert capsys.readouterr().err == f"pointsman: command line: {message}\n"


def test_a_port_in_use_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    """With the system's reason, not Python's sentence around it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert serve(ECHO, port=port) == 2
    message = f'cannot listen on "127.0.0.1:{port}" (Address already in use): free it or choose another'
    assert capsys.readouterr().err == f"pointsman: {message}\n"


def test_a_host_that_is_no_address_keeps_the_resolvers_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Its errors are not the system's, so they have no text by number."""
    assert serve(ECHO, host="256.0.0.1", port=0) == 2
    error = capsys.readouterr().err
    assert error.startswith('pointsman: cannot listen on "256.0.0.1:0" (')
    assert "attempting" not in error and "Unknown error" not in error and error.count("\n") == 1


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Before a request could reach a half-loaded service."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"engine: echo\nbundles: [{tmp_path / 'nothing'}]\n")
    assert f'bundle "{tmp_path / "nothing"}" has no manifest.json' in refused(path)
