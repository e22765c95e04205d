"""Files that are put in their place as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.files import file_where_asked, whole_file, write_whole


def write(path: Path, content: bytes) -> None:
    with file_where_asked(path) as file:
        file.write(content)


def test_of_the_files_beside_one_that_a_user_names_none_is_touched(tmp_path: Path) -> None:
    own = tmp_path / "rows.csv.new"
    own.write_text("mine")
    write(tmp_path / "rows.csv", b"rows")
    assert own.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.csv.new"]


def test_a_link_stays_one_and_its_file_has_the_content(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(tmp_path / "link", b"rows")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"rows"


def test_who_may_read_a_file_stays_as_it_was(tmp_path: Path) -> None:
    for name, put in (("a", write), ("b", write_whole)):
        (tmp_path / name).touch(0o600)
        put(tmp_path / name, b"secret")
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_opened_is_named_as_the_user_knows_it(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere") as told, file_where_asked(tmp_path / "nowhere" / "a"):
        pass
    assert told.value.filename == str(tmp_path / "nowhere" / "a")


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
