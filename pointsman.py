"""The command line: parse, import the part that the command needs, call one function.

A refusal by a part (an error of its errors.py) is one message on stderr and exit status 2; anything else is a bug and
keeps its traceback.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

REFUSED = 2
PARTS = ("index", "machine", "service", "starter", "training")

Command: TypeAlias = Callable[[argparse.Namespace], int | None]
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


class Parser(argparse.ArgumentParser):
    """Shows its whole help, not only its usage, beside what was wrong."""

    def error(self, message: str) -> NoReturn:
        self.print_help(sys.stderr)
        self.exit(REFUSED, f"\n{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        return given.command(given) or 0
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in PARTS:
            raise
        cure = "run `make setup`, or install the extra that has it: pip install '.[serve,train]'"
        return refuse(f'the package "{error.name}" is not installed; {cure}')
    except Exception as error:
        if not is_refusal(error):
            raise
        return refuse(str(error))


def refuse(message: str) -> int:
    print(f"pointsman: {message}", file=sys.stderr)
    return REFUSED


def is_refusal(error: Exception) -> bool:
    """True for the errors that a part defines; asked by module name, so that no part is imported for it."""
    refusals = {f"{part}.errors" for part in PARTS}
    return any(kind.__module__ in refusals for kind in type(error).__mro__)


def serve(given: argparse.Namespace) -> int:
    from service.serve import serve

    return serve(given.config, given.host, given.port)


def doctor(given: argparse.Namespace) -> int:
    from doctor import examine

    return examine(as_json=given.json)


def index_build(given: argparse.Namespace) -> None:
    from index.build import main

    main(given.config)


def index_search(given: argparse.Namespace) -> None:
    from index.search import main

    main(given.query, given.index, given.count)


def gate_calibrate(given: argparse.Namespace) -> None:
    from training.gate.calibrate import main

    main(given.config)


def gate_evaluate(given: argparse.Namespace) -> None:
    from training.gate.evaluate import main

    main(given.config)


def gate_explain(given: argparse.Namespace) -> None:
    from index.explain import main

    main(given.query, given.bundle)


def train_tasks(given: argparse.Namespace) -> None:
    from training.sft import make_tasks

    make_tasks(given.config)


def train_sft(given: argparse.Namespace) -> None:
    if foretold("sft", given):
        return
    from training.sft import main

    main(given.config)


def foretold(stage: str, given: argparse.Namespace) -> bool:
    """Whether only what a stage would do, or should do otherwise, was asked for; then it has been told."""
    if given.dry_run:
        from training.dry_run import main as tell

        tell(stage, given.config)
    elif given.suggest:
        from training.suggest import main as suggest

        suggest(stage, given.config)
    return given.dry_run or given.suggest


def train_raw_sft(given: argparse.Namespace) -> None:
    if foretold("raw_sft", given):
        return
    from training.stages.raw_sft import main

    main(given.config)


def train_verified_sft(given: argparse.Namespace) -> None:
    if foretold("verified_sft", given):
        return
    from training.stages.verified_sft import main

    main(given.config)


def train_grpo(given: argparse.Namespace) -> None:
    from training.stages.grpo import main

    main(given.config)


def train_pipeline(given: argparse.Namespace) -> None:
    from training.pipeline import main

    main(given.config)


def specialist_create(given: argparse.Namespace) -> None:
    from training.specialist import create

    create(
        given.package, name=given.name, model=given.model, encoder=given.encoder, output=given.output,
        steps=given.steps, dry_run=given.dry_run,
    )  # fmt: skip


def sandbox_doctor(given: argparse.Namespace) -> int:
    from training.sandbox.doctor import examine

    return examine(as_json=given.json)


def sandbox_run(given: argparse.Namespace) -> int:
    from training.sandbox.limits import Limits
    from training.sandbox.once import run_once

    limits = Limits(cpu_s=given.cpu_s, memory_mib=given.memory_mib)
    return run_once(given.solution, given.test, given.entry_point, limits, as_json=given.json)


def evaluate(given: argparse.Namespace) -> None:
    from training.evaluate.run import main

    main(given.config, check_only=given.self_check)


def make_parser() -> Parser:
    parser = Parser(
        prog="pointsman", description="One OpenAI-compatible endpoint over one base model and many LoRA specialists."
    )
    commands = group(parser)
    command = add(commands, "serve", serve, "serve the models of a config over HTTP")
    config_of(command)
    command.add_argument("--host", help="address to listen on; replaces the file's")
    command.add_argument("--port", type=int, help="port to listen on; replaces the file's")

    command = add(commands, "doctor", doctor, "versions, processor, memory; what is missing and the cure")
    command.add_argument("--json", action="store_true", help="for programs")

    index = group(commands.add_parser("index", help="build or search an index of documents"))
    config_of(add(index, "build", index_build, "read an installed package into an index"))
    command = add(index, "search", index_search, "show the nearest documents")
    command.add_argument("query")
    command.add_argument("--index", type=Path, help="folder of an index or a bundle (default: the starter bundle)")
    command.add_argument("--count", type=int, default=5, help="documents to show (default: %(default)s)")

    gate = group(commands.add_parser("gate", help="calibrate, evaluate or explain the gate of a bundle"))
    config_of(add(gate, "calibrate", gate_calibrate, "fit the gate on labelled queries; writes the bundle"))
    config_of(add(gate, "evaluate", gate_evaluate, "what the gate is worth, beside simpler rules"))
    command = add(gate, "explain", gate_explain, "what the gate makes of one question")
    command.add_argument("query")
    command.add_argument(
        "--bundle", type=Path, default=Path("bundles/polars"), help="folder of a bundle (default: %(default)s)"
    )

    train = group(commands.add_parser("train", help="train a specialist"))
    config_of(add(train, "tasks", train_tasks, "a run's verified tasks alone, the held-out ones included"))
    stage_of(add(train, "raw_sft", train_raw_sft, "fine-tuning on source files; harms an instruction model"))
    stage_of(add(train, "sft", train_sft, "supervised fine-tuning; writes a bundle"))
    stage_of(add(train, "verified_sft", train_verified_sft, "fine-tuning on own answers that execution accepts"))
    config_of(add(train, "grpo", train_grpo, "reinforcement learning from executed answers"))
    config_of(add(train, "pipeline", train_pipeline, "several stages, one after the other; a killed one goes on"))

    specialist = group(commands.add_parser("specialist", help="make a specialist of a package by one command"))
    command = add(specialist, "create", specialist_create, "from an installed package's doctests to a bundle")
    command.add_argument("--package", required=True, metavar="NAME", help="installed package, as `import` names it")
    command.add_argument("--name", help="name of the specialist (default: the package's)")
    command.add_argument("--model", default="starter", help="base to train on (default: %(default)s)")
    quick = "starter:onnx-int8:128"
    command.add_argument("--encoder", default=quick, help="encoder of its index (default: %(default)s)")
    command.add_argument("--output", type=Path, help="folder of the bundle (default: bundles/NAME)")
    command.add_argument("--steps", type=positive, help="optimiser steps (default: as many as the rows ask for)")
    command.add_argument("--dry-run", action="store_true", help="tasks and rows alone, and how long training may take")

    sandbox = group(commands.add_parser("sandbox", help="run untrusted programs"))
    command = add(sandbox, "doctor", sandbox_doctor, "attack each promise of the sandbox once; what holds here")
    command.add_argument("--json", action="store_true", help="for programs")
    command = add(sandbox, "run", sandbox_run, "run one program against a check that defines check(candidate)")
    command.add_argument("solution", type=Path, metavar="SOLUTION", help="file of the program")
    command.add_argument("--test", type=Path, required=True, help="file of the check")
    command.add_argument("--entry-point", required=True, metavar="NAME", help="function that the check is given")
    command.add_argument("--cpu-s", type=positive, default=5, help="CPU time, in seconds (default: %(default)s)")
    command.add_argument("--memory-mib", type=memory_mib, default=512, help="address space (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="one line of JSON, for programs")

    command = add(commands, "evaluate", evaluate, "pass rates by execution, of an engine or of a running service")
    config_of(command)
    command.add_argument(
        "--self-check", action="store_true", help="only check the benchmarks: references, empty answers"
    )
    return parser


def group(parser: Parser) -> Commands:
    return parser.add_subparsers(required=True, metavar="COMMAND")


def add(commands: Commands, name: str, command: Command, purpose: str) -> Parser:
    parser = commands.add_parser(name, help=purpose, description=purpose)
    parser.set_defaults(command=command)
    return parser


def positive(text: str) -> int:
    """A whole number above 0; argparse makes a ValueError a refusal that quotes the value."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def memory_mib(text: str) -> int:
    """Enough memory for an interpreter."""
    if (number := int(text)) < 32:
        raise argparse.ArgumentTypeError(f'"{text}" is less than 32, which an interpreter needs')
    return number


def config_of(parser: Parser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file of configs/")


def stage_of(parser: Parser) -> None:
    """A config, and two ways to ask what would come of it."""
    config_of(parser)
    ahead = parser.add_mutually_exclusive_group()
    ahead.add_argument("--dry-run", action="store_true", help="rows, tokens, steps, time, memory and checks alone")
    ahead.add_argument("--suggest", action="store_true", help="settings for these rows as YAML lines, with reasons")


if __name__ == "__main__":
    sys.exit(main())
