"""Frames: what was written is read back, and nothing else is ever read."""

from __future__ import annotations

import ast
import gc
import tracemalloc
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest
from broker_toys import MAX_BYTES, RUN, envelope, make_codec, property_test, share
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from message_cases import action_of, timestep_of

import broker
from broker.errors import FrameRejected
from broker.wire import known_edges
from broker.wire.arrays import pack
from broker.wire.codec import Codec
from broker.wire.identity import Identity
from broker.wire.known_edges import edge_prefix
from broker.wire.messages import (
    SEQUENCE_LIMIT,
    Action,
    Envelope,
    Faults,
    Gone,
    GoOn,
    Hello,
    Metrics,
    Share,
    Stop,
    Timestep,
)

SOURCE, DESTINATION = "agent-0", "agent-1"
EDGE = [RUN, SOURCE, DESTINATION]
PREFIX = edge_prefix(*EDGE)
counts = st.integers(0, SEQUENCE_LIMIT - 1)
sequences = st.integers(0, SEQUENCE_LIMIT - 1)


@st.composite
def any_array(draw):
    dtype = np.dtype(draw(st.sampled_from(["float32", "float64", "int32", "int64", "uint8"])))
    shape = draw(arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    if dtype.kind != "f":
        return draw(arrays_of.arrays(dtype, shape))
    # Values near the largest float have a test of their own.
    finite = st.floats(-(2.0**50), 2.0**50, width=dtype.itemsize * 8)
    return draw(arrays_of.arrays(dtype, shape, elements=finite))


some_arrays = st.dictionaries(st.text("abcz_", min_size=1, max_size=8), any_array(), max_size=4).map(pack)


def with_arrays(kind, *fields):
    return st.tuples(some_arrays, *fields).map(lambda drawn: kind(*drawn[1:], *drawn[0]))


any_message = st.one_of(
    st.builds(Hello, counts, st.booleans(), st.builds(Identity, *[st.text(max_size=200)] * 3)),
    with_arrays(Timestep, counts, counts, counts, st.booleans()),
    with_arrays(Action, counts, counts, counts),
    with_arrays(Share, counts, counts),
    st.builds(Stop, st.text()),
    st.builds(Metrics, st.binary()),
    st.builds(Gone, st.text()),
    st.builds(GoOn, counts),
    st.builds(Faults, st.text()),
)

ONE_OF_EACH = [
    Hello(3, wants_reply=True, identity=Identity("run", "document", "version")),
    timestep_of(1, 2, 0, False, np.ones((2, 3), np.float32), np.ones(2, np.float32), np.zeros(2, np.uint8)),
    action_of(1, 2, 0, np.arange(2, dtype=np.int32)),
    Share.of(4, 5, {"x": np.ones((2, 2)), "y": np.arange(3)}),
    Stop("fertig: \u00fc\u4f60\U0001f600"),
    Metrics(b"\x00\xff"),
    Gone("agent-7"),
    GoOn(3),
    Faults("[]"),
]
each_kind = pytest.mark.parametrize("message", ONE_OF_EACH, ids=lambda message: type(message).__name__)


def the_codec(max_bytes=MAX_BYTES):
    return make_codec(DESTINATION, [SOURCE], max_bytes=max_bytes)


def frame_of(message, sequence=0):
    return the_codec().encode(envelope(SOURCE, DESTINATION, message, sequence))


def raw(message, sequence=0):
    """A frame around any message: an object, or bytes that pretend to be msgpack."""
    message = message if isinstance(message, bytes) else msgspec.msgpack.encode(message)
    return PREFIX + msgspec.msgpack.encode(sequence) + message


def raw_share(layout, tail=b""):
    return raw([4, 0, 0, layout, tail])


def refusal(frame, codec=None):
    """The sentence with which a frame is refused."""
    with pytest.raises(FrameRejected) as caught:
        (codec or the_codec()).decode(frame)
    text = str(caught.value)
    assert 8 <= len(text) <= 400
    assert text.isprintable()
    return text


def reads_or_refuses(frame):
    try:
        with np.errstate(all="ignore"):  # huge values have a test of their own
            assert isinstance(the_codec().decode(frame), Envelope)
    except FrameRejected as error:
        if not str(error):
            pytest.fail("refused without a reason")


@property_test
@given(any_message, sequences)
def test_every_message_comes_back_bit_for_bit_with_its_edge_and_number(message, sequence):
    sent = Envelope(RUN, SOURCE, DESTINATION, sequence, message)
    read = the_codec().decode(the_codec().encode(sent))
    assert (read.run, read.source, read.destination, read.sequence) == (RUN, SOURCE, DESTINATION, sequence)
    assert message == read.message


def test_one_codec_writes_and_reads_many_messages_without_mixing_them_up():
    codec = the_codec()
    frames = [codec.encode(envelope(SOURCE, DESTINATION, message, i)) for i, message in enumerate(ONE_OF_EACH * 2)]
    read = [codec.decode(frame) for frame in frames]
    assert [one.sequence for one in read] == list(range(2 * len(ONE_OF_EACH)))
    assert [one.message for one in read] == ONE_OF_EACH * 2


def test_a_refused_frame_does_not_disturb_the_next():
    codec = the_codec()
    frame = frame_of(share(1, [1.0, 2.0, 3.0]))
    refusal(frame[:-4], codec)
    assert codec.decode(frame).message.arrays["x"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "array",
    [np.arange(6.0).reshape(2, 3).T, np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(10)[::-2]],
    ids=["transposed", "fortran", "strided"],
)
def test_arrays_that_lie_otherwise_in_memory_are_written_in_c_order(array):
    read = the_codec().decode(frame_of(Share.of(0, 0, {"x": array}))).message.arrays["x"]
    assert np.array_equal(read, array)
    assert read.flags.c_contiguous


def test_the_frame_is_the_documented_one():
    frame = frame_of(Share.of(7, 1, {"x": np.array([1.5, 2.5], np.float32)}), sequence=9)
    data = bytes.fromhex("0000c03f00002040")
    assert frame == msgspec.msgpack.encode([2, *EDGE, 9, [4, 7, 1, "x float32 2", data]])
    assert frame.endswith(data)


def test_all_frames_of_an_edge_and_no_others_begin_with_the_same_bytes():
    assert all(frame_of(message, 1000).startswith(PREFIX) for message in ONE_OF_EACH)
    assert not frame_of(ONE_OF_EACH[0]).startswith(edge_prefix(RUN, SOURCE, "agent-10"))
    assert not edge_prefix(RUN, SOURCE, "agent-10").startswith(PREFIX)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_numbers_lie_where_a_processor_takes_them_quickly_wherever_a_frame_has_them(dtype):
    """Where in a frame they lie hangs on how long the names are."""
    sent = np.linspace(-1, 1, 5000, dtype=dtype)
    for length in range(1, 9):
        codec = Codec("r" * length, MAX_BYTES)
        codec.allow("a", "b")
        said = Envelope("r" * length, "a", "b", 0, Share.of(0, 0, {"numbers": sent}))
        read = codec.decode(codec.encode(said)).message.arrays["numbers"]
        assert read.flags.aligned
        assert not read.flags.writeable
        assert read.tobytes() == sent.tobytes()


def test_arrays_are_read_only_views_into_the_frame():
    frame = frame_of(timestep_of(0, 0, 0, False, *[np.ones((2, 3), np.float32)] * 4))
    for array in the_codec().decode(frame).message.arrays.values():
        assert np.shares_memory(array, np.frombuffer(frame, np.uint8))
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 2


@pytest.mark.parametrize(
    ("dtype", "value", "count"),
    [
        ("float32", 1e38, 5),
        ("float64", -1e300, 5),
        pytest.param("float32", -3.4e38, 5),
        pytest.param("float64", 1.7e308, 5),
        pytest.param("float32", 1e38, 5000),
        pytest.param("float64", -1e300, 5000),
    ],
)
def test_huge_finite_values_are_accepted(dtype, value, count):
    array = np.full(count, value, dtype)
    assert np.array_equal(the_codec().decode(frame_of(Share.of(0, 0, {"x": array}))).message.arrays["x"], array)


@pytest.mark.parametrize(("dtype", "value"), [("float32", -3.4e38), ("float64", 1.7e308)])
@pytest.mark.parametrize("count", [1, 5, 5000])
def test_values_whose_squares_overflow_are_finite_all_the_same(dtype, value, count):
    with np.errstate(all="ignore"):
        read = the_codec().decode(frame_of(Share.of(0, 0, {"x": np.full(count, value, dtype)}))).message.arrays["x"]
    assert np.array_equal(read, np.full(count, value, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("count", "position"), [(1, 0), (7, 0), (7, 3), (7, 6), (5000, 0), (5000, 4999)])
def test_no_array_with_nan_or_infinity_is_read(dtype, value, count, position):
    array = np.linspace(-1, 1, count).astype(dtype)
    array[position] = value
    for arrays in ({"x": array}, {"x": array, "good": np.ones(2)}, {"good": np.ones(2, np.uint8), "x": array}):
        assert "NaN or infinity" in refusal(frame_of(Share.of(0, 0, arrays)))


@pytest.mark.parametrize("field", ["observation", "reward"])
def test_nan_is_refused_in_every_array_of_a_timestep(field):
    arrays = ONE_OF_EACH[1].arrays | {field: np.array([np.nan], np.float32)}
    assert "NaN" in refusal(frame_of(timestep_of(0, 0, 0, False, **arrays)))


@each_kind
def test_a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not(message):
    sent = envelope(SOURCE, DESTINATION, message)
    frame = the_codec().encode(sent)
    assert the_codec(len(frame)).encode(sent) == frame
    assert the_codec(len(frame)).decode(frame).source == SOURCE
    sentence = f"{len(frame)} bytes exceeds max_message_bytes = {len(frame) - 1}"
    with pytest.raises(FrameRejected, match=sentence):
        the_codec(len(frame) - 1).encode(sent)
    assert sentence in refusal(frame, the_codec(len(frame) - 1))


@each_kind
def test_a_frame_cut_off_anywhere_is_refused(message):
    frame = frame_of(message)
    for length in range(len(frame)):
        assert refusal(frame[:length])


@each_kind
def test_bytes_behind_the_last_array_are_refused(message):
    refusal(frame_of(message) + b"\0")
    refusal(frame_of(message) + frame_of(message))


@property_test
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(junk):
    refusal(junk)


@property_test
@given(st.binary(max_size=100), st.binary(max_size=20))
def test_random_bytes_behind_a_good_edge_are_refused_or_a_message(message, tail):
    reads_or_refuses(raw(message) + tail)
    reads_or_refuses(PREFIX + message)


@pytest.mark.long
@property_test
@given(st.data())
def test_a_damaged_frame_is_refused_or_still_a_message(data):
    frame = bytearray(frame_of(data.draw(any_message)))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(frame) - 1))
        byte = data.draw(st.integers(0, 255))
        match data.draw(st.sampled_from(["flip", "insert", "delete"])):
            case "flip":
                frame[position] = byte
            case "insert":
                frame.insert(position, byte)
            case _ if len(frame) > 1:
                del frame[position]
    reads_or_refuses(bytes(frame))


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=12,
)


@st.composite
def frame_with_a_wrong_place(draw):
    """A frame, with anything at all put somewhere into it."""
    frame = msgspec.msgpack.decode(frame_of(draw(st.sampled_from(ONE_OF_EACH))))
    place = frame
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = draw(st.sampled_from(list(keys)))
        if not (isinstance(place[key], (list, dict)) and place[key] and draw(st.booleans())):
            break
        place = place[key]
    place[key] = draw(plain)
    return msgspec.msgpack.encode(frame)


@property_test
@given(frame_with_a_wrong_place())
def test_a_wrong_type_anywhere_in_a_frame_is_refused_or_still_a_message(frame):
    reads_or_refuses(frame)


@pytest.mark.parametrize(
    "message",
    [
        None,
        7,
        [],
        [5],
        {"reason": "x"},
        [0, "x"],
        [17, "x"],
        [7, 1],
        [8, "x"],
        [8, 1, 1],
        [9, b"x"],
        [-5, "x"],
        ["5", "x"],
        [None, "x"],
        [[5, "x"]],
        [5, 1],
        [5, b"x"],
        [5, "x", "x"],
        [6, "x"],
        [1, 1.0, True],
        [1, True, True],
        [1, 1, 1],
        [4, 0],
        [4, 0, None, "", b""],
        [4, 0, 0, None, b""],
        [4, 0, 0, b"", b""],
        [4, 0, 0, "", None],
        [4, 0, 0, "", 7],
        [4, 0, 0, ""],
        [4, 0, 0, "", b"", b""],
    ],
    ids=repr,
)
def test_a_message_of_wrong_types_is_refused(message):
    refusal(raw(message))


@pytest.mark.parametrize("sequence", [True, 1.5, "0", None, [], b"", -2, SEQUENCE_LIMIT, 2**64 - 1], ids=repr)
def test_a_sequence_that_is_no_number_or_none_of_a_run_is_refused(sequence):
    refusal(raw([5, "x"], sequence))


def test_the_message_that_the_wrong_ones_differ_from_is_read():
    assert the_codec().decode(raw([5, "x"])).message == Stop("x")
    assert the_codec().decode(raw([1, 1, True])).message == Hello(1, wants_reply=True)
    assert the_codec().decode(raw_share("x float32 1", b"\0" * 4)).message.arrays["x"].tolist() == [0.0]


@pytest.mark.parametrize("name", ["float16", "bool", "object", "O", ">f4", "<f4", "S8", "Float32", "xfloat32", ""])
def test_only_listed_dtypes_are_read(name):
    assert "float32, float64, int32, int64, uint8" in refusal(raw_share(f"x {name} 1", b"\0" * 8))


SHAPES = (
    "-1 -1x-1 +1 1.0 1e0 True x "
    "1x x1 1xx1 1X1 1_0 \u0661 0x1x1x1x1 "
    "1x1x1x1x1 2 999999999 999999999x999999999x999999999x999999999 "
    "18446744073709551616 4294967296x4294967296 0x9223372036854775808 "
    "0x999999999x999999999x999999999 "
)


@pytest.mark.parametrize("shape", [*SHAPES.split(), "1 ", " 1", "1\n"], ids=ascii)
def test_only_shapes_of_at_most_four_sizes_that_fit_the_frame_are_read(shape):
    for tail in (b"", b"\0" * 4):
        refusal(raw_share(f"x float32 {shape}", tail))


LAYOUTS = [
    "x",
    " ",
    ",",
    "x float32",
    "float32 1",
    "x float32 1,",
    ",x float32 1",
    "x float32 1;y float32 1",
    "x float32 1 1",
    "x float32 1\0",
    "x float32 " + "1" * 100_000,
    "x float32 0,x float32 1",
    "X float32 1",
    "\u00fc float32 1",
    "x" * 100_000 + " float32 1",
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: ascii(layout[:20]))
def test_what_does_not_describe_arrays_is_refused(layout):
    refusal(raw_share(layout, b"\0" * 4))


def test_scalars_and_four_dimensions_are_read():
    assert the_codec().decode(raw_share("x uint8 1x2x1x2", b"abcd")).message.arrays["x"].shape == (1, 2, 1, 2)
    assert the_codec().decode(raw_share("x uint8 ", b"a")).message.arrays["x"].shape == ()


def held_bytes(work):
    """Memory that is still held after `work`."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.long
def test_a_flood_of_different_shapes_is_not_remembered_for_ever():
    codec = the_codec()

    def flood(start, count):
        for size in range(start, start + count):
            codec.decode(raw_share(f"x uint8 0x{size}"))
            codec.encode(envelope(SOURCE, DESTINATION, Share.of(0, 0, {"x": np.empty((0, size), np.uint8)})))

    flood(0, 5000)  # whatever is remembered at most is remembered now
    assert held_bytes(lambda: flood(5000, 15_000)) < 5_000_000


def test_a_flood_of_long_layouts_is_not_remembered():
    codec = the_codec()

    def flood():
        for prefix in range(20):
            names = [f"{chr(97 + prefix)}_{'abcdefgh'[n % 8]}{'x' * (n // 8)}" for n in range(240)]
            codec.decode(raw_share(",".join(f"{name} uint8 0" for name in names)))

    assert held_bytes(flood) < 100_000


LARGE = 1 << 21
NAMES = ["".join(letters) for letters in product("abcdefghijklmnopqrst", repeat=4)]
LARGE_FRAMES = {
    "an array of small numbers": b"\xdd" + LARGE.to_bytes(4) + bytes(LARGE),
    "an array in an array": b"\x91\xdd" + LARGE.to_bytes(4) + bytes(LARGE),
    "an array in an edge": PREFIX + b"\xdd" + LARGE.to_bytes(4) + bytes(LARGE),
    "an array as message": PREFIX + b"\x00\xdd" + LARGE.to_bytes(4) + bytes(LARGE),
    "a map": b"\xdf" + (LARGE // 2).to_bytes(4) + bytes(LARGE),
    "a layout of nothing": raw_share("," * LARGE),
    "a layout of many names": raw_share(",".join(f"{name} uint8 0" for name in NAMES)),
    "a name": msgspec.msgpack.encode([2, RUN, "x" * LARGE, DESTINATION, 0, [5, ""]]),
}


@pytest.mark.parametrize("frame", LARGE_FRAMES.values(), ids=LARGE_FRAMES)
def test_refusing_a_large_frame_takes_a_few_times_its_memory(frame):
    codec = Codec(RUN, 2 * len(frame))
    codec.allow(SOURCE, DESTINATION)
    tracemalloc.start()
    try:
        with pytest.raises(FrameRejected) as found:
            codec.decode(frame)
        assert tracemalloc.get_traced_memory()[1] < 6 * len(frame)
    finally:
        tracemalloc.stop()
    assert len(str(found.value)) < 1000


def test_a_message_with_a_layout_that_nobody_would_read_is_not_written():
    with pytest.raises(FrameRejected, match="160000 arrays cannot be sent at once"):
        pack(dict.fromkeys(NAMES, np.zeros(0, np.uint8)))


@pytest.mark.parametrize("version", [0, 1, 3, 255])
def test_another_version_is_refused_by_number(version):
    for message in ([5, ""], ["of", "another", "kind"]):
        frame = msgspec.msgpack.encode([version, *EDGE, 0, message])
        assert refusal(frame) == f"expected version 2, found {version}"


@pytest.mark.parametrize(
    ("run", "source", "destination"),
    [
        ("other", SOURCE, DESTINATION),
        (RUN, "agent-9", DESTINATION),
        (RUN, DESTINATION, SOURCE),
        (RUN, SOURCE, "agent-2"),
        (RUN, SOURCE, "agent-10"),
        (RUN, "", ""),
    ],
)
def test_a_frame_of_another_run_or_edge_is_refused_by_its_name(run, source, destination):
    frame = make_codec("x", [], run=run).encode(Envelope(run, source, destination, 0, Stop("x")))
    assert f"{run}/{source}/{destination}" in refusal(frame)


@pytest.mark.parametrize("junk", [b"", b"\0", b"\0" * 50, b"no msgpack", PREFIX[:-2], PREFIX[:2] + b"x"])
def test_a_frame_without_an_edge_is_refused(junk):
    assert "in-edge" in refusal(junk)


def test_a_long_or_unprintable_edge_makes_a_short_printable_sentence():
    assert len(refusal(b"\xff\x1b\n" * 10_000 + b"\0")) < 400
    assert len(refusal(msgspec.msgpack.encode([2, "\x1b\n" * 5000, "", "", 0, [5, ""]]))) < 400


@pytest.mark.parametrize("claims", [2**32 - 1, 2**31, 1000, 5])
def test_data_that_claim_more_bytes_than_came_are_refused(claims):
    share = msgspec.msgpack.encode([4, 0, 0, "x float32 1"])
    refusal(raw(b"\x95" + share[1:] + b"\xc6" + claims.to_bytes(4, "big") + b"\0" * 4))


BEFORE = {"top": b"", "kind": b"\x95", "episode": b"\x95\x04", "layout": b"\x95\x04\0\0", "data": b"\x95\x04\0\0\xa0"}
everywhere = pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())


@everywhere
@pytest.mark.parametrize(
    "opening", [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"], ids=["list", "map", "text", "bytes", "ext"]
)
def test_a_header_that_claims_billions_of_items_is_refused(before, opening):
    refusal(raw(before + opening + b"\xff\xff\xff\xff"))


@everywhere
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\x00", b"\x81\x91"], ids=["lists", "maps", "keys"])
@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deeply_nested_msgpack_is_refused(before, opening, depth):
    refusal(raw(before + opening * depth + b"\xc0" * depth))
    refusal(raw(b"\x93\x05\xa0" + opening * depth))


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80"])
def test_text_that_is_not_utf8_is_refused(text):
    refusal(raw(b"\x92\x05" + bytes([0xA0 + len(text)]) + text))


@everywhere
@pytest.mark.parametrize("extension", [b"\xd4\x05\x00", b"\xd6\xff\xff\xff\xff\xff", b"\xd7\xff" + b"\xff" * 8])
def test_extension_types_are_refused(before, extension):
    refusal(raw(before + extension + b"\xc0"))


def test_the_edge_of_a_refused_frame_is_told_if_it_is_one_of_ours():
    codec = the_codec()
    assert codec.edge_of(frame_of(Stop("x"))[:-1]) == (SOURCE, DESTINATION)
    assert codec.edge_of(b"garbage") is None
    assert codec.edge_of(b"") is None


def test_an_edge_that_is_allowed_later_is_told_too():
    codec = the_codec()
    frame = Codec(RUN, 1 << 20).encode(Envelope(RUN, "later", DESTINATION, 0, Stop("x")))
    assert codec.edge_of(frame) is None
    codec.allow("later", DESTINATION)
    assert codec.edge_of(frame) == ("later", DESTINATION)


def test_beginnings_of_edges_are_made_once_however_many_frames_are_refused(monkeypatch):
    made, codec = [], Codec(RUN, 1 << 20)
    monkeypatch.setattr(known_edges, "edge_prefix", lambda *edge: made.append(edge) or edge_prefix(*edge))
    for number in range(50):
        codec.allow(f"agent-{number}", DESTINATION)
    assert made == []
    for _ in range(20):
        refusal(b"garbage", codec)
    assert len(made) <= 50 + 1


def test_a_frame_that_only_begins_like_an_edge_is_blamed_on_nobody():
    assert the_codec().edge_of(PREFIX[:-1] + b"x") is None


def trees():
    return {path: ast.parse(path.read_text()) for path in sorted(Path(broker.__file__).parent.rglob("*.py"))}


def test_no_module_of_the_broker_knows_pickle():
    forbidden = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "allow_pickle"}
    found = []
    for path, tree in trees().items():
        for node in ast.walk(tree):
            names = {getattr(node, key, None) for key in ("module", "attr", "id", "arg", "name")}
            parts = {part for name in names if isinstance(name, str) for part in name.split(".")}
            found += [(path.name, name) for name in parts & forbidden]
            found += [(path.name, name) for name in parts & {"send_pyobj", "recv_pyobj", "eval", "exec", "__import__"}]
    assert found == []
    assert len(trees()) >= 20


@pytest.mark.parametrize("forged", [SEQUENCE_LIMIT, -SEQUENCE_LIMIT, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("place", ["episode", "round"])
def test_a_forged_number_that_no_store_could_hold_is_refused(place, forged):
    numbers = {"episode": 0, "round": 0} | {place: forged}
    assert "Expected `int`" in refusal(frame_of(Share(**numbers, layout="", data=memoryview(b""))))


SAID = {"run": "toy-bbbbbbbb", "document": "d" * 64, "version": "9.9"}


def test_a_hello_of_another_run_is_read_and_nothing_else_of_it_is():
    greeting = Hello(1, wants_reply=True, identity=Identity(**SAID))
    foreign = [msgspec.msgpack.encode(Envelope("other", SOURCE, DESTINATION, 0, each)) for each in (greeting, Stop(""))]
    assert the_codec().decode(foreign[0]).message == greeting
    assert "is not an in-edge" in refusal(foreign[1])
    assert "is not an in-edge" in refusal(msgspec.msgpack.encode(Envelope("other", DESTINATION, SOURCE, 0, greeting)))


@pytest.mark.parametrize("version", [0, 1, 3, 255])
def test_a_hello_in_messages_of_another_version_is_read_and_says_so(version):
    frame = msgspec.msgpack.encode([version, "other", SOURCE, DESTINATION, 0, [1, 4, True, SAID]])
    found = the_codec().decode(frame).message
    assert (found.incarnation, found.wants_reply) == (4, True)
    assert found.identity == Identity(**SAID | {"version": f"9.9 (messages of version {version})"})
    for wrong in (
        [1, 4, True],
        [1, 4, True, []],
        [1, 4, 1, SAID],
        [1, 4, True, SAID | {"run": "x" * 201}],
        [5, "", SAID],
    ):
        assert refusal(msgspec.msgpack.encode([version, *EDGE, 0, wrong])) == f"expected version 2, found {version}"


def test_a_hello_of_a_foretell_that_says_nothing_of_its_arithmetic_is_read():
    frame = msgspec.msgpack.encode([2, "other", SOURCE, DESTINATION, 0, [1, 4, True, SAID]])
    assert the_codec().decode(frame).message.identity == Identity(**SAID, arithmetic=0)
    for wrong in (-1, 1 << 32, "1"):
        frame = msgspec.msgpack.encode([2, *EDGE, 0, [1, 4, True, SAID | {"arithmetic": wrong}]])
        assert "arithmetic" in refusal(frame)


def test_what_is_written_of_another_identity_is_short_and_plain():
    said = Identity("r", "d" * 64, "1").refusal("a", "b", Identity("\x1b[2J" * 40, "e" * 64, "1"))
    assert "\x1b" not in said
    assert len(said) < 300
