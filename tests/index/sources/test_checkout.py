import os
from pathlib import Path

import pytest

from index.sources.checkout import commit_of, ignored_in, origin_of
from index.sources.config import DocsSource
from tests.index.sources.conftest import commit, git, write

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated doc"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with docs, a licence, and a folder that git ignores."""
    files = {"docs/a.md": "text", "LICENSE": MIT, ".gitignore": "venv", "venv/lib/a.md": "text"}
    commit(write(tmp_path / "lib", files))
    return tmp_path / "lib"


def test_the_source_of_a_checkout_is_its_commit(checkout: Path) -> None:
    """Also below its top; changed files are told by "-dirty", since the commit does not hold them."""
    head = git(checkout, "rev-parse", "HEAD").strip()
    assert origin_of(DocsSource(docs=checkout), checkout).source == f"lib@{head}"
    assert origin_of(DocsSource(docs=checkout / "docs"), checkout / "docs").source == f"docs@{head}"
    write(checkout, {"docs/a.md": "changed"})
    assert origin_of(DocsSource(docs=checkout, name="mine"), checkout).source == f"mine@{head}-dirty"


def test_what_git_does_not_track_has_no_commit_and_no_licence_from_above(checkout: Path, tmp_path: Path) -> None:
    """Another project's library, installed inside a checkout, is not of its commit and not under its licence."""
    installed = checkout / "venv" / "lib"
    origin = origin_of(DocsSource(docs=installed, licence="BSD"), installed)
    assert (origin.source, origin.licence, ignored_in(installed)) == ("lib", "BSD", frozenset())
    assert commit_of(tmp_path) == ""


def test_the_licence_of_a_checkout_counts_in_all_its_folders(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What its files say goes before the config, which is told when it differs."""
    assert origin_of(DocsSource(docs=checkout / "docs"), checkout / "docs").licence == "MIT"
    assert not caplog.records
    assert origin_of(DocsSource(docs=checkout / "docs", licence="BSD"), checkout / "docs").licence == "MIT"
    assert 'its own files say licence "MIT", not "BSD"' in caplog.text


def test_a_repository_that_the_environment_names_is_not_asked(checkout: Path, tmp_path: Path) -> None:
    """Inside a hook git's variables name the repository that is committed to."""
    other = write(tmp_path / "other", {"a.md": ""})
    mine = commit(other)
    before = dict(os.environ)
    os.environ["GIT_DIR"] = str(checkout / ".git")
    try:
        assert commit_of(other) == mine
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_a_checkouts_own_settings_start_nothing(checkout: Path, tmp_path: Path) -> None:
    """A downloaded .git folder may name programs as monitors and hooks."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(checkout, "config", "core.fsmonitor", str(program))
    write(checkout, {".git/hooks/post-index-change": program.read_text(), "docs/a.md": "changed"})
    (checkout / ".git/hooks/post-index-change").chmod(0o755)
    assert commit_of(checkout).endswith("-dirty")
    assert ignored_in(checkout) == {"venv"}
    assert not (tmp_path / "ran").exists()
