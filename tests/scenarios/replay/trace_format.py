"""What the Trace Event Format asks of a file, as its documentation says, and what Perfetto needs to show all of it.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

COMMON = {"ph": str, "name": str, "pid": int, "tid": int}
TIMED = {"ts": float, "cat": str}
OF_PHASE = {"X": {"dur": float} | TIMED, "s": {"id": int} | TIMED, "f": {"id": int, "bp": str} | TIMED}
OF_PHASE |= {"i": {"s": str} | TIMED, "M": {"args": dict}}
METADATA = {"process_name": "name", "thread_name": "name", "thread_sort_index": "sort_index"}


def problems(trace: dict[str, Any]) -> list[str]:
    """What is wrong with a trace; nothing where all is right."""
    assert set(trace) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert trace["displayTimeUnit"] in ("ms", "ns")
    found = []
    for event in trace["traceEvents"]:
        expected = COMMON | OF_PHASE[event["ph"]]
        found += [f"no {key} in {event}" for key in expected if not isinstance(event.get(key), expected[key])]
        if event["ph"] == "i" and event["s"] not in "gpt":
            found.append(f"no such scope: {event}")
        if event["ph"] == "M" and list(event["args"]) != [METADATA[event["name"]]]:
            found.append(f"no such metadata: {event}")
    return found + _slices_that_cross(trace) + _arrows_that_hang(trace)


def _lanes(trace: dict[str, Any]) -> dict[int, list[tuple[float, float]]]:
    lanes = defaultdict(list)
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            lanes[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    return lanes


def _slices_that_cross(trace: dict[str, Any]) -> list[str]:
    """Slices of a lane lie beside or within each other."""
    found = []
    for lane, slices in _lanes(trace).items():
        open_until: list[float] = []
        for began, ended in sorted(slices, key=lambda each: (each[0], -each[1])):
            while open_until and open_until[-1] <= began + 0.002:  # times have three decimals
                open_until.pop()
            if open_until and ended > open_until[-1] + 0.002:
                found.append(
                    f"a slice of lane {lane} from {began} to {ended} crosses one that ends at {open_until[-1]}"
                )
            open_until.append(ended)
    return found


def _arrows_that_hang(trace: dict[str, Any]) -> list[str]:
    """Both ends of an arrow are there, once, and lie on a slice; it does not go back in time."""
    ends: dict[str, dict[int, Any]] = {"s": {}, "f": {}}
    lanes, found = _lanes(trace), []
    for event in trace["traceEvents"]:
        if event["ph"] not in ends:
            continue
        if event["id"] in ends[event["ph"]]:
            found.append(f"twice: {event}")
        ends[event["ph"]][event["id"]] = event
        if not any(began <= event["ts"] <= ended for began, ended in lanes[event["tid"]]):
            found.append(f"on no slice: {event}")
    if set(ends["s"]) != set(ends["f"]):
        found.append("an arrow has one end")
    return found + [
        f"{at} is before its beginning" for at in ends["f"].values() if at["ts"] < ends["s"][at["id"]]["ts"]
    ]
