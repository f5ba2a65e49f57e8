import pytest

from index.sources.left_out import LeftOut


def test_each_reason_is_told_once_with_its_number_and_first_names(caplog: pytest.LogCaptureFixture) -> None:
    """A tree of a thousand old files must not fill the terminal."""
    left = LeftOut('code "lib"')
    for number in range(7):
        left.add("files by their name", f'"{number}.py"')
    left.add("links", '"a"')
    left.tell()
    assert [record.getMessage() for record in caplog.records] == [
        'code "lib": left out files by their name (7): "0.py", "1.py", "2.py", "3.py", "4.py" and 2 more',
        'code "lib": left out links (1): "a"',
    ]


def test_nothing_is_told_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Silence means that everything was read."""
    LeftOut('code "lib"').tell()
    assert not caplog.records
