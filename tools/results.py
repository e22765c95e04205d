"""Collects finished runs into docs/results: their summaries, the table of figures, one picture.

for s in 1 2 3; do for a in anticipation-sharing independent; do for q in QUICK-SCENARIOS; do
  foretell simulate $q --seed $s --set algorithm.name=$a --out FOLDER/$q-$a-seed$s
done; done; done
python tools/results.py FOLDER

The table has all summaries in docs/results/quick, those of earlier calls too; a summary of the same name is replaced.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "docs" / "results"
HEAD = """# What the quick scenarios learn

Each row is one run of `foretell simulate SCENARIO --seed SEED --set algorithm.name=ALGORITHM`; its whole
`summary.json` is in `docs/results/quick/`. Team return is the sum over agents of the undiscounted return of an episode,
mean over parallel copies; first and last are means over the first and last tenth of the training episodes. Grid, time
limit, number of episodes, parallel copies, neighbors, widths of layers, learning rates and rho are ours, not the
paper's (`foretell check SCENARIO` prints them). Seconds are of a shared machine of two cores, one used: some runs had
it nearly to themselves, others were held up by other work, so that seconds of two rows do not compare.

Exchange: at most 15 for three agents, less the cost of time; a team that opens nothing gets -0.6.

Predation, team return when in every step

| scenario | all engage | one engages | nobody engages |
|---|---|---|---|
| predation-6-quick, 30 steps | -180 | -120 | -540 |
| predation-8-quick, 10 steps | -80 | -40 | -240 |
| predation-12-quick, 10 steps | -120 | -40 | -360 |
| predation-20-quick and its variants, 10 steps | -200 | -40 | -600 |

Presets have calibrated weights, predation-20-quick fixed ones. Agents that share anticipations end above independent
ones in Exchange and in Predation, and as high in navigation-quick; in simple-spread, where half of each reward is the
team's, three seeds show no clear difference. In Predation with 20 agents, one seed each, calibrated weights with one
random neighbor a round, or with half of the rounds, end as high as fixed weights with all neighbors in every round.

| scenario | algorithm | seed | arithmetic | first | last | seconds | shares sent | MB over edges |
|---|---|---|---|---|---|---|---|---|
"""


def main(runs: Path) -> None:
    """Copy summaries and write the table."""
    summaries = RESULTS / "quick"
    summaries.mkdir(parents=True, exist_ok=True)
    for summary in runs.glob("*/summary.json"):
        shutil.copy(summary, summaries / f"{summary.parent.name}.json")
    rows = sorted(_row(summary) for summary in summaries.glob("*.json"))
    (RESULTS / "quick.md").write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    picture = runs / "exchange-quick-anticipation-sharing-seed1" / "learning_curve.png"
    if picture.exists():
        shutil.copy(picture, RESULTS / "exchange-quick.png")


def _row(summary: Path) -> str:
    """The table's row of one run; `summary` is named SCENARIO-ALGORITHM-seedSEED.json."""
    figures = json.loads(summary.read_text(encoding="utf-8"))
    scenario = figures["scenario"]
    algorithm = summary.stem.removeprefix(f"{scenario}-").rsplit("-", 1)[0]
    returns = f"{figures['team_return_first']:.2f} | {figures['team_return_last']:.2f}"
    size = "" if figures["edge_bytes"] is None else f"{figures['edge_bytes'] / 1e6:.0f}"
    cost = f"{figures['wall_s']:.0f} | {figures['shares_sent']} | {size}"
    arithmetic = figures.get("arithmetic", "")
    return f"| {scenario} | {algorithm} | {figures['seed']} | {arithmetic} | {returns} | {cost} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs")
    main(parser.parse_args().folder)
