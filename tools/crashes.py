"""Crashes at random moments of simulated runs, and whether every run ends as one that nothing disturbed.

    .venv/bin/python tools/crashes.py > docs/results/crashes.md

Exits with 1 where a run does not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from itertools import count
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT), str(ROOT / "tests" / "scenarios"), str(ROOT / "tests")]

from running.dying import LONGER, TINY, crash, play  # noqa: E402

from scenarios.results.folder import RunFolder, make_run_folder  # noqa: E402

_HEAD = """# Crashes at any moment: `tools/crashes.py --crashes {crashes}`

Simulated runs of Exchange with two agents, 30% of all shares lost, {episodes} episodes and a checkpoint every {every}.
Somebody dies after a message that is drawn by chance, again and again, as often before the next checkpoint as after it:
a run takes many crashes and still comes to its end. There are {moments} such moments in a run that nothing disturbs.
"""


def main() -> int:
    """Let runs crash, and say how they ended."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--crashes", type=int, default=1000, help="How many, in as many runs as they take.")
    crashes = options.parse_args().crashes
    with tempfile.TemporaryDirectory(prefix="foretell-crashes-") as root:
        numbers = count()

        def folders() -> RunFolder:
            return make_run_folder(Path(root) / str(next(numbers)), "tiny", 1)

        undisturbed = play(folders(), LONGER)
        every = TINY["recovery.checkpoint_every"]
        _say(_HEAD.format(crashes=crashes, episodes=LONGER["episodes"], every=every, moments=undisturbed[0]))
        runs: list[int] = []
        try:
            runs.extend(crash(crashes, undisturbed, folders))
        except AssertionError as other:
            _say(f"A run after {len(runs)} others ended with other figures: {other}")
            return 1
        _say(f"All {len(runs)} runs, with {sum(runs)} crashes, ended with the figures of the undisturbed one.")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
