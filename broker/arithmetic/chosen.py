"""The kernels that this process computes with: the fastest that its processor knows, or those that are asked for.

`FORETELL_KERNELS=reference|baseline|avx2|avx512|neon` asks for some. Where no library can be used the reference takes
their place: the same bits, many times slower.
"""

from __future__ import annotations

import os
import platform

from broker.arithmetic.kernels import Kernels
from broker.arithmetic.native import Native, Unusable
from broker.arithmetic.reference import Reference
from broker.arithmetic.targets import TARGETS, Target, source_digest
from broker.errors import UserError

VARIABLE = "FORETELL_KERNELS"
_REMEDY = "build them with `python -m broker.arithmetic.building`"


def possible() -> dict[str, Kernels]:
    """Every set of kernels that can be used here, by name, the fastest first.

    Raises:
        Unusable: None but the reference; why.
    """
    targets = [target for target in TARGETS if target.machine == platform.machine()]
    if not targets:
        msg = f"there are no libraries for processors called {platform.machine()}"
        raise Unusable(msg)
    source = source_digest()
    usable: dict[str, Kernels] = {"reference": Reference()}
    known = 0
    for target in reversed(targets):  # what needs nothing can tell what there is
        if target.needs & known == target.needs:
            native = _load(target, source)
            known = native.known_here
            usable[target.name] = native
    return dict(reversed(usable.items()))


def _load(target: Target, source: str) -> Native:
    if not target.library.is_file():
        msg = f"{target.library} is missing"
        raise Unusable(msg)
    return Native(target.name, target.library, source)


def _choose(asked: str | None) -> tuple[Kernels, str]:
    """The kernels to use, and why these are not fast, if somebody might want to know.

    Raises:
        UserError: What was asked for is not to be had here.
    """
    known = ["reference", *(target.name for target in TARGETS)]
    if asked == "reference":
        return Reference(), ""
    if asked is not None and asked not in known:
        msg = f"{VARIABLE}={asked}: expected one of {', '.join(known)}"
        raise UserError(msg)
    try:
        usable = possible()
    except Unusable as why:
        if asked is None:
            return Reference(), f"{why}; {_REMEDY}"
        msg = f"{VARIABLE}={asked}: {why}; {_REMEDY}"
        raise UserError(msg) from None
    if asked is None:
        return next(iter(usable.values())), ""
    if asked not in usable:
        msg = f"{VARIABLE}={asked}: this processor has no such instructions; expected one of {', '.join(usable)}"
        raise UserError(msg)
    return usable[asked], ""


def why_not_fast() -> str:
    """Why nothing faster than the reference is used, a clause; empty where a library is, or nobody wants one."""
    return _WHY_NOT_FAST


kernels, _WHY_NOT_FAST = _choose(os.environ.get(VARIABLE) or None)
