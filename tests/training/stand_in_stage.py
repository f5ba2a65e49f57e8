"""A stage without a model: makes steps in its run folder, goes on from its last checkpoint, refuses when told to.

Run as `python stand_in_stage.py STAGE CONFIG`; a real process, so that signals and kills are real.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import yaml

SAVE_STEPS = 2


def main(path: Path) -> int:
    """One step each few hundredths of a second, a checkpoint each second one."""
    facts = yaml.safe_load(path.read_text())
    run, steps = Path(facts["run"]), facts["sft"]["max_steps"]
    (run / "begun").open("a").write(f"{os.getpid()}\n")
    if (path.with_suffix(".refuse")).is_file():
        sys.stderr.write('working on it\npointsman: adapter "x" is of another base: train it on this one\n')
        return 2
    done = max((int(one.name.split("-")[1]) for one in run.glob("checkpoint-*")), default=0)
    for step in range(done + 1, steps + 1):
        time.sleep(0.05)
        with (run / "steps.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, "epoch": step / steps}) + "\n")
        if step % SAVE_STEPS == 0:
            (run / f"checkpoint-{step}").mkdir()
        if step == SAVE_STEPS and path.with_suffix(".hang").is_file():
            time.sleep(60)
    (run / "adapter").mkdir(exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (run / "adapter" / name).write_text("{}")
    (run / "result.json").write_text("{}")
    return 0


if __name__ == "__main__":

    def told(number: int, frame: object) -> None:
        """Leave a note that the signal arrived, then end as a stage would."""
        folder = Path(yaml.safe_load(Path(sys.argv[2]).read_text())["run"])
        (folder / "signals").open("a").write(f"{signal.Signals(number).name}\n")
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    sys.exit(main(Path(sys.argv[2])))
