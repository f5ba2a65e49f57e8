"""A folder in, the licence that its own files state: pyproject.toml first, then the text of its licence files.

Told only where there is one answer; a folder with two different licence texts is left to its user. Texts are
recognised by the words that no other licence has, the earliest in the file.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

FILE_NAMES = ("licence", "license", "copying", "unlicense")
LICENCE_BYTES = 1 << 20
# SPDX id: words that only this licence holds, as lower-case words with single spaces
WORDS = {
    "MIT": "permission is hereby granted free of charge to any person obtaining a copy of this software and associated",
    "Apache-2.0": "apache license version 2 0",
    "BSD-3-Clause": "redistribution and use in source and binary forms",
    "ISC": "permission to use copy modify and or distribute this software for any purpose with or without fee",
    "MPL-2.0": "mozilla public license version 2 0",
    "AGPL-3.0": "gnu affero general public license version 3",
    "LGPL-3.0": "gnu lesser general public license version 3",
    "LGPL-2.1": "gnu lesser general public license version 2 1",
    "GPL-3.0": "gnu general public license version 3",
    "GPL-2.0": "gnu general public license version 2",
    "PSF-2.0": "python software foundation license version 2",
    "Unlicense": "this is free and unencumbered software released into the public domain",
    "CC-BY-4.0": "attribution 4 0 international",
    "CC-BY-SA-4.0": "attribution sharealike 4 0 international",
    "CC0-1.0": "cc0 1 0 universal",
}


def licence_in(folder: Path) -> str:
    """The SPDX id or the name that a folder states; "" when it states none, or more than one."""
    return licence_of_project(folder / "pyproject.toml") or licence_of_texts(folder)


def licence_of_project(path: Path) -> str:
    """The licence in a pyproject.toml, in any of the forms it may have there; "" without one."""
    try:
        settings = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    project = table(settings, "project")
    for stated in (project.get("license"), table(table(settings, "tool"), "poetry").get("license")):
        text = stated.get("text") if isinstance(stated, dict) else stated
        if isinstance(text, str) and text.strip():
            return recognised(text) or text.strip().splitlines()[0]
    listed = project.get("classifiers")
    classifiers = [str(item) for item in listed] if isinstance(listed, list) else []
    names = {item.rsplit(" :: ", 1)[-1] for item in classifiers if item.startswith("License ::")}
    return names.pop() if len(names) == 1 else ""


def table(settings: dict[str, Any], key: str) -> dict[str, Any]:
    """A table of a TOML file; an empty one where there is none."""
    found = settings.get(key)
    return found if isinstance(found, dict) else {}


def licence_of_texts(folder: Path) -> str:
    """The licence of a folder's licence files; "" when they tell none, or several."""
    files = [
        path for path in sorted(folder.glob("*"))
        if path.name.lower().startswith(FILE_NAMES) and path.is_file() and not path.is_symlink()
    ]  # fmt: skip
    found = {licence for path in files if (licence := recognised(beginning(path)))}
    return found.pop() if len(found) == 1 else ""


def beginning(path: Path) -> str:
    """The first MiB of a file; bytes that are no UTF-8 do not matter here."""
    try:
        with path.open("rb") as file:
            return file.read(LICENCE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def recognised(text: str) -> str:
    """The licence whose words stand first in a text; "" for one that is not known."""
    words = " ".join(re.findall(r"[a-z0-9]+", text.lower()))
    found = {position: name for name, phrase in WORDS.items() if (position := words.find(phrase)) >= 0}
    if not found:
        return ""
    name = found[min(found)]
    return "BSD-2-Clause" if name == "BSD-3-Clause" and "neither the name" not in words else name
