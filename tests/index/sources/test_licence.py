from pathlib import Path

import pytest

from index.sources.licence import licence_in
from tests.index.sources.conftest import write

APACHE = "\n   Apache License\n   Version 2.0, January 2004\n"
BSD = "Redistribution and use in source and binary forms, with or without\nmodification, are permitted"
MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy\nof this software and associated"


@pytest.mark.parametrize(
    ("project", "licence"),
    [
        ('[project]\nlicense = "MIT OR Apache-2.0"', "MIT OR Apache-2.0"),
        ('[project]\nlicense = {text = "BSD 3-Clause"}', "BSD 3-Clause"),
        (f'[project]\nlicense = {{text = """{APACHE}"""}}', "Apache-2.0"),
        ('[tool.poetry]\nlicense = "ISC"', "ISC"),
        ('[project]\nclassifiers = ["License :: OSI Approved :: MIT License", "Private"]', "MIT License"),
        ('[project]\nlicense = {file = "LICENSE"}', "BSD-2-Clause"),
        ('[project]\nlicense = 3\nclassifiers = "x"', "BSD-2-Clause"),
        ("not toml", "BSD-2-Clause"),
    ],
)
def test_a_project_file_goes_before_the_licence_file(tmp_path: Path, project: str, licence: str) -> None:
    """In each form that it may state a licence; where it states none, the text counts."""
    assert licence_in(write(tmp_path, {"pyproject.toml": project, "LICENSE": BSD})) == licence


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"LICENSE": MIT}, "MIT"),
        ({"LICENCE.md": f"# Licence\n{BSD} ... Neither the name of"}, "BSD-3-Clause"),
        (
            {"COPYING": "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007 ... GNU Lesser General Public License"},
            "GPL-3.0",
        ),
        ({"LICENSE.txt": f"{MIT}\nIt includes parts under:\n{APACHE}"}, "MIT"),
        ({"LICENSE": MIT, "LICENSE.rst": MIT}, "MIT"),
        ({"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE}, ""),
        ({"LICENSE": "All rights reserved."}, ""),
        ({"LICENSE": b"\xff\xfe" + MIT.encode()}, "MIT"),
        ({"LICENSE/mit.txt": MIT}, ""),
        ({}, ""),
    ],
)
def test_a_licence_text_is_recognised_or_left_to_the_user(
    tmp_path: Path, files: dict[str, str | bytes], licence: str
) -> None:
    """The earliest in a file; two different files tell none, as the user may choose."""
    assert licence_in(write(tmp_path, files)) == licence


def test_this_repositorys_licence_is_told() -> None:
    """The real text, not only its first words."""
    assert licence_in(Path()) == "Apache-2.0"
