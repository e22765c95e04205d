"""Plays the golden scenarios of tests/golden, says which give other bits than digests.toml holds, or renews that file.

    python tools/golden.py [NAME ...]           play them, or those whose names are given; ends with 1 where one parts
    python tools/golden.py --renew "REASON"     write digests.toml anew; the reason is kept in it

A renewal that changes the bits of a scenario which is described as before demands that ARITHMETIC in
broker/arithmetic/version.py was raised, so that peers of before and after refuse each other. `--unreleased` says that
nobody has this version yet.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT), str(ROOT / "tests" / "golden")]

from broker.threads import limit_threads  # noqa: E402

limit_threads()

import golden_scenarios as golden  # noqa: E402
import numpy as np  # noqa: E402

from broker.arithmetic.chosen import kernels  # noqa: E402
from broker.arithmetic.version import ARITHMETIC  # noqa: E402
from broker.errors import ForetellError  # noqa: E402

_LEAST_WORDS = 3


def main() -> int:
    """Compare or renew."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME", help="Golden scenarios; none: all.")
    options.add_argument("--renew", metavar="REASON", help="Write digests.toml anew.")
    options.add_argument("--unreleased", action="store_true", help="Nobody has this ARITHMETIC yet.")
    options.add_argument("--first-import", metavar="MODULE", help="Import a library first that might reach into it.")
    options.add_argument("--quiet", action="store_true", help="Say only which part.")
    chosen = options.parse_args()
    if chosen.first_import:
        importlib.import_module(chosen.first_import)
    unknown = [name for name in chosen.names if name not in golden.names()]
    if unknown:
        options.error(f"no golden scenario is called {', '.join(unknown)}; see tests/golden/documents.toml")
    if chosen.renew is not None:
        if chosen.names:
            options.error("--renew takes all golden scenarios")
        return renew(chosen.renew, unreleased=chosen.unreleased)
    return compare(chosen.names or golden.names(), quiet=chosen.quiet)


def compare(names: Sequence[str], *, quiet: bool) -> int:
    """Play them and say which part."""
    parted, began_at = 0, time.monotonic()
    for name in names:
        try:
            problem = golden.parted(name, golden.played(name), kernels.name)
        except ForetellError as error:
            problem = f"golden scenario {name!r} cannot be played: {error}"
        parted += bool(problem)
        if problem or not quiet:
            _say(problem or f"equal  {name}")
    where = f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, kernels {kernels.name}"
    torch = "torch imported" if "torch" in sys.modules else "torch not imported"
    _say(f"{len(names) - parted} of {len(names)} equal in {time.monotonic() - began_at:.0f} s: {where}, {torch}")
    return min(parted, 1)


def renew(reason: str, *, unreleased: bool) -> int:
    """Write digests.toml anew, if anything differs and the reason is one."""
    if len(reason.split()) < _LEAST_WORDS:
        _say("--renew expects why the bits differ, in a few words: they stay in digests.toml")
        return 2
    found = {name: golden.played(name) for name in golden.names()}
    before = golden.kept() if golden.DIGESTS.exists() else golden.Digests(0, (), {})
    if before.outcomes == found and before.arithmetic == ARITHMETIC:
        _say("nothing differs: digests.toml stays as it is")
        return 0
    changed = [
        name
        for name, outcome in found.items()
        if name in before.outcomes
        and before.outcomes[name].document == outcome.document
        and before.outcomes[name] != outcome
    ]
    if changed and before.arithmetic >= ARITHMETIC and not unreleased:
        _say(
            f"{len(changed)} scenarios are described as before and give other bits ({', '.join(changed[:3])}): raise "
            f"ARITHMETIC in broker/arithmetic/version.py above {before.arithmetic}, or find what parted"
        )
        return 1
    renewal = golden.Renewal(ARITHMETIC, reason)
    golden.Digests(ARITHMETIC, (*before.renewals, renewal), found).write()
    _say(f"digests.toml has {len(found)} scenarios, {len(changed)} with other bits than before")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
