"""Collects finished runs into docs/results: their summaries, the table of figures, one picture.

for s in 1 2 3; do for a in anticipation-sharing independent; do for q in exchange-quick predation-6-quick; do
  foretell simulate $q --seed $s --set algorithm.name=$a --out FOLDER/$q-$a-seed$s
done; done; done
python tools/results.py FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "docs" / "results"
HEAD = """# What the quick scenarios learn

Each row is one run of `foretell simulate SCENARIO --seed SEED --set algorithm.name=ALGORITHM`; its whole
`summary.json` is in `docs/results/quick/`. Team return is the sum over agents of the undiscounted return of an episode,
mean over parallel copies; first and last are means over the first and last tenth of the training episodes. Grid, time
limit, number of episodes, parallel copies, learning rates and rho are ours, not the paper's (`foretell check SCENARIO`
prints them). Seconds are of a shared machine of two cores, one used.

Exchange: at most 15 for three agents, less the cost of time; a team that opens nothing gets -0.6. Predation with 6
agents over 30 steps: -180 when all engage, -120 when exactly one does, -540 when nobody does.

| scenario | algorithm | seed | first | last | seconds | shares sent | MB over edges |
|---|---|---|---|---|---|---|---|
"""


def main(runs: Path) -> None:
    """Copy summaries and write the table."""
    (RESULTS / "quick").mkdir(parents=True, exist_ok=True)
    rows = []
    for folder in sorted(path for path in runs.iterdir() if (path / "summary.json").exists()):
        figures = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        shutil.copy(folder / "summary.json", RESULTS / "quick" / f"{folder.name}.json")
        scenario = figures["scenario"]
        algorithm = folder.name.removeprefix(f"{scenario}-").rsplit("-", 1)[0]
        returns = f"{figures['team_return_first']:.2f} | {figures['team_return_last']:.2f}"
        cost = f"{figures['wall_s']:.0f} | {figures['shares_sent']} | {figures['edge_bytes'] / 1e6:.0f}"
        rows.append(f"| {scenario} | {algorithm} | {figures['seed']} | {returns} | {cost} |")
    (RESULTS / "quick.md").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    picture = runs / "exchange-quick-anticipation-sharing-seed1" / "learning_curve.png"
    shutil.copy(picture, RESULTS / "exchange-quick.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
