"""Reading what somebody else wrote: regular files of text alone, up to a size, and nobody is waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from broker.text_files import as_text, read_file, read_text


@pytest.fixture
def place(tmp_path):
    return tmp_path / "file"


def refusal(path, most_bytes=100):
    with pytest.raises(OSError, match="expected") as caught:
        read_text(path, most_bytes)
    return caught.value.strerror


def test_text_is_read_as_it_is(place):
    place.write_text("one\ntwo ä\n")
    assert read_text(place, 100) == "one\ntwo ä\n"
    assert read_file(place, 100) == "one\ntwo ä\n".encode()


def test_a_link_to_a_file_is_a_file(place):
    place.write_text("text")
    place.with_name("link").symlink_to(place)
    assert read_text(place.with_name("link"), 100) == "text"


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(place):
    os.mkfifo(place)
    assert refusal(place) == "expected a file, found a pipe"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty0"])
def test_a_device_is_no_file(path):
    if not Path(path).exists():
        pytest.skip(f"no {path} here")
    assert refusal(Path(path)) == "expected a file, found a device"


def test_a_folder_is_no_file(place):
    place.mkdir()
    assert refusal(place) == "expected a file, found a folder"


def test_a_socket_is_no_file(place):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place))
        with pytest.raises(OSError, match="No such device"):
            read_text(place, 100)


def test_what_never_ends_is_read_up_to_a_size(monkeypatch):
    status, size, read = Path("/proc/self/status"), 0, os.read

    def counted(descriptor, most):
        nonlocal size
        chunk = read(descriptor, 10)
        size += len(chunk)
        return chunk

    monkeypatch.setattr(os, "read", counted)
    assert status.stat().st_size == 0
    assert refusal(status) == "expected at most 100 bytes, found more"
    assert size == 110


def test_what_says_that_it_is_too_long_is_not_read(place, monkeypatch):
    place.write_bytes(b"x" * 100)
    assert len(read_text(place, 100)) == 100
    place.write_bytes(b"x" * 101)
    monkeypatch.delattr(os, "read")
    assert refusal(place) == "expected at most 100 bytes, found more"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\0b", "expected text, found a NUL character"),
        (b"ab\xff", "expected text in UTF-8, found byte 0xff"),
        (b"\xff\xfea\0", "expected text in UTF-8, found byte 0xff"),
    ],
)
def test_bytes_that_are_no_text_are_refused(place, content, said):
    place.write_bytes(content)
    assert refusal(place) == said


def test_a_mark_of_the_byte_order_is_no_part_of_the_text(place):
    place.write_bytes(b"\xef\xbb\xbfa = 1\r\n\xef\xbb\xbf")
    assert read_text(place, 100) == "a = 1\r\n\ufeff"
    place.write_bytes(b"\xef\xbb\xbfab\xfe")
    assert refusal(place) == "expected text in UTF-8, found byte 0xfe"


def test_a_path_that_is_no_text_is_told_with_its_bytes_written_out():
    assert as_text(Path("caf\u00e9/bytes\udcff\udc80")) == "caf\u00e9/bytes\\udcff\\udc80"


def test_a_file_that_is_not_there_is_called_so(place):
    with pytest.raises(FileNotFoundError):
        read_text(place, 100)
