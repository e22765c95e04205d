"""Files that are put in their place as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.files import whole_file, write_where_asked


def test_of_the_files_beside_one_that_a_user_names_none_is_touched(tmp_path: Path) -> None:
    own = tmp_path / "rows.csv.new"
    own.write_text("mine")
    write_where_asked(tmp_path / "rows.csv", b"rows")
    assert own.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.csv.new"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_what_was_there_stays_where_writing_ends_in_between_and_nothing_is_left(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    (tmp_path / "a").write_text("old")

    def write_half() -> None:
        with whole_file(tmp_path / "a") as file:
            file.write(b"half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
