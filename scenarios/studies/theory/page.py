"""`theory.md`: what was checked, what was found, and where the printed text must be read with care."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Hashable, Iterable, Sequence

from broker.counting import counted
from scenarios.reports.markdown import markdown_table
from scenarios.studies.theory.bounds import (
    CLAIMS,
    TOLERANCE,
    Bound,
    BoundKind,
    Reading,
    Sides,
    theorem_1,
    theorem_3,
    theorem_3_mended,
)
from scenarios.studies.theory.cases import INSTANCES, SEARCH_STEPS
from scenarios.studies.theory.findings import Checked, TheoryFindings, tally
from scenarios.studies.theory.worked import WORKED

_INTRODUCTION = """\
# Theorems 1 to 3 on random tabular MMDPs

Both sides of every bound are computed exactly (values and discounted visits by linear solves, no sampling) on
{instances} random multi-agent MDPs with private rewards, seed {seed}. Made by `{command}`; equal seeds give
an equal page and equal numbers (`theory.json`).

{verdict}
That is as the proofs read their symbols. Taken to the letter, what the paper says of d^pi makes Theorems 1 and 3 false,
and one line of the proof of Theorem 2 is false and has to be mended; see "Where the printed text must be read with
care" below.

![Histograms of the slack of the three theorems](theory.png)

Cases go through {shapes} (N agents, S states, A actions of each agent, gamma) and {recipes} in turn.
Rewards are normal, transitions between nearly even and nearly certain. Policies are random, near (logarithms moved by
0.001 to 0.3), equal or deterministic; anticipations equal to the true policies, near, random or deterministic. The
searched recipes make {steps} random changes of policies, anticipations, rewards and transitions, and keep those that
bring a theorem nearer to being false.

Slack is the larger minus the smaller side; below 0 (beyond rounding, 1e-9 of the sides) is a violation. The allowance
is the penalty that a bound grants; the share of it in use is above 1 exactly where the bound is violated. The smallest
slack is over cases whose policies differ: where they are equal, both sides of Theorem 1 are, too. Where the old policy
takes an action that the new one never takes, D_KL is infinite, and Theorems 1 and 3 claim nothing (column "no claim";
Eq. 25 still does).
"""

_THEOREMS = {
    1: """\
    eta(pi_new) >= eta(pi_old) + zeta_old(pi_new) - C D_KL^max(pi_old || pi_new)                             (Eq. 4)
    zeta_old(pi_new) = sum_s d(s) sum_a pi_new(a|s) sum_i A_i(s, a),   d(s) = sum_t gamma^t P(s_t = s | pi_old)
    C = 4 gamma max_{s,a} |sum_i A_i(s, a)| / (1 - gamma)^2                                                  (Eq. 5)
""",
    2: """\
    zeta_old(Pi~) - zeta_old(pi) <= f + sum_i 1/2 max|A_i| sum_{s,a} (pi~^i(a|s) - pi(a|s))^2                 (Eq. 7)
    zeta_old(Pi~) = sum_i sum_s d(s) sum_a pi~^i(a|s) A_i(s, a),   pi~^i = product over j of pi^ij           (Eq. 6)
    f = sum_i 1/2 max|A_i| |A| sum_s d(s)^2,   |A| joint actions                                             (Eq. 8)

pi' of the theorem is the old policy here, pi the new one, as in the proof of Theorem 3.
""",
    3: """\
    eta(pi_new) >= zeta_old(Pi~_new) + eta(pi_old) - C sum_i D_KL^max(pi_old^ii || pi_new^ii)
                   - f - sum_i 1/2 max|A_i| sum_{s,a} (pi~_new^i(a|s) - pi_new(a|s))^2                       (Eq. 9)
""",
}

_READINGS = """\
## Where the printed text must be read with care

**What d^pi is.** The paper writes d^pi for three things: the distribution of the first state ("s_0 ~ d^pi(s)", Eqs. 1,
20 and 21), a distribution in an expectation (Eqs. 5 and 6), and the discounted visits of Eq. 27, which sum to
1/(1 - gamma) and are no distribution. The theorems above are computed as the proof reads them: visits from a first
state whose distribution is the same for all policies, as in TRPO, which the proof builds on. The other two readings:

- *the same divided by their sum*: d is a probability distribution, and zeta loses the factor 1/(1 - gamma). The step
  that fails is Eq. 27, where the discounted sum over time has to be all of zeta. Theorem 2 holds for any d >= 0.
- *each policy starts from its own d*: with s_0 ~ d^pi and d^pi the normalized visits, d^pi is the stationary
  distribution of pi; zeta keeps its factor here. The step that fails is Eq. 22: its expectation is over s_0 ~ d^pi_new,
  and its last line puts eta(pi_old) for E[V^pi_old(s_0)], whose s_0 is from d^pi_old.

Both at once fail as well: in the first case below there is one state, and where it starts makes no difference.

What these readings lose grows in proportion to the distance of the policies, the penalty with its square: they fail
where steps are small. In Theorem 3 the constant f hides that, and random cases need not show it; worked ones do.

**Eq. 31, third line.** From the sum of x y it goes to max|y| times |sum of x|, which is no inequality: x = (1, -1) and
y = (1, -1) give 2 and 0. Here sum_a (pi~^i - pi) is 0 always, so that the line claims that anticipations never promise
more than the true policies. With the absolute value inside the sum it is right, the next line follows from it as
printed, and the theorem stands.

**Misprints that change nothing.** Below Eq. 25, D_KL(q||q) is D_KL(p||q). In Eq. 24, P(s_t = s) belongs inside the sum
over t, as in Eq. 27. Eqs. 32 and 36 lack parentheses around d^2 + (...)^2 and have max_s d(s)^2 where Eq. 9 has d(s)^2,
which is weaker: Eq. 9 is what Theorem 2 gives.
"""

_WORTH = """\
## What the bounds are worth

f does not depend on the new policies or the anticipations. Where all of them equal the old policy, the left side of
Theorem 2 is 0 and its right side f, and Theorem 3 says eta >= eta - f. It comes from the last step of Eq. 31,
d x <= (d^2 + x^2)/2, which adds the square of a number of visits to the square of a probability. The mended third line,
sum_i max|A_i| sum_{s,a} d(s) |pi~^i - pi|, is never larger than f and the squares together, and vanishes where
anticipations are true; "Theorem 3 with the mended line" has it in their place.

A lower bound promises improvement where it is above eta(pi_old):
"""


def page(findings: TheoryFindings) -> str:
    """The whole page."""
    parts = [
        _introduction(findings),
        "## All claims\n",
        _claims(findings),
        *(_theorem(claim, findings) for claim in findings.of_kind(BoundKind.THEOREM)),
        _READINGS,
        _worked(),
        _smallest(findings),
        _WORTH,
        _promises(findings),
    ]
    return "\n".join(parts)


def _introduction(findings: TheoryFindings) -> str:
    cases, theorems = findings.checked, findings.of_kind(BoundKind.THEOREM)
    false = [
        f"{claim.label} {counted(len(findings.violated(claim)), 'time')}"
        for claim in theorems
        if findings.violated(claim)
    ]
    verdict = f"**Violated: {', '.join(false)}.**" if false else "**None of the three theorems is violated.**"
    wished = "" if len(cases) == INSTANCES else f" --instances {len(cases)}"
    return _INTRODUCTION.format(
        instances=len(cases),
        seed=findings.seed,
        verdict=verdict,
        command=f"foretell study theory{wished}",
        shapes=counted(len({each.shape for each in cases}), "shape"),
        recipes=counted(len({each.recipe for each in cases}), "recipe"),
        steps=SEARCH_STEPS,
    )


def _claims(findings: TheoryFindings) -> str:
    rows = [
        (claim.label, claim.kind.value, claim.reading.value, *_counts(claim, findings.checked))
        for claim in findings.claims
    ]
    return _table(("claim", "kind", "d^pi is", *_COUNTS), rows)


def _theorem(claim: Bound, findings: TheoryFindings) -> str:
    shapes = _grouped(
        claim,
        findings,
        lambda each: (each.shape.agents, each.shape.states, each.shape.actions, each.shape.discount),
    )
    recipes = _grouped(claim, findings, lambda each: (each.recipe.name,))
    return "\n".join(
        (
            f"## Theorem {claim.theorem}\n",
            _THEOREMS[claim.theorem],
            _table(("N", "S", "A", "gamma", *_COUNTS), shapes),
            _table(("recipe", *_COUNTS), recipes),
        )
    )


def _grouped(
    claim: Bound, findings: TheoryFindings, key: Callable[[Checked], tuple[Hashable, ...]]
) -> list[tuple[object, ...]]:
    groups: dict[tuple[Hashable, ...], list[Checked]] = {}
    for each in findings.checked:
        groups.setdefault(key(each), []).append(each)
    return [(*name, *_counts(claim, cases)) for name, cases in groups.items()]


_COUNTS = ("instances", "violations", "smallest slack", "median slack", "largest share in use", "no claim")


def _counts(claim: Bound, cases: Iterable[Checked]) -> tuple[object, ...]:
    found = tally(claim, cases)
    return (
        found.instances,
        found.violations,
        _number(found.smallest_slack),
        _number(found.median_slack),
        _number(found.largest_share),
        found.silent,
    )


def _worked() -> str:
    blocks = ["### Counterexamples by hand\n"]
    for each in WORKED:
        claim = next(claim for claim in CLAIMS if claim.key == each.claim)
        text = f"**{claim.label}** ({claim.reading.value}). {each.says} {_both(claim.at(each.case))}"
        blocks.append(textwrap.fill(text, 120) + "\n")
    return "\n".join(blocks)


def _smallest(findings: TheoryFindings) -> str:
    violated = [(claim, findings.violated(claim)) for claim in findings.claims]
    rows = [
        (
            claim.label,
            claim.reading.value,
            cases[0].index,
            cases[0].recipe.name,
            *(_number(size, 6) for size in (cases[0].sides[claim.key].smaller, cases[0].sides[claim.key].larger)),
        )
        for claim, cases in violated
        if cases
    ]
    return "\n".join(
        (
            "### Smallest counterexamples drawn\n",
            "The smallest MMDP that violates a claim, among equals the deepest violation; tables in `theory.json`.\n",
            _table(("claim", "d^pi is", "case", "recipe", "smaller side", "larger side"), rows) if rows else "None.\n",
        )
    )


def _promises(findings: TheoryFindings) -> str:
    cases = findings.checked
    rows = [
        (claim.label, tally(claim, cases).promises, len(cases))
        for claim in findings.claims
        if claim.sides in {theorem_1, theorem_3, theorem_3_mended} and claim.reading is Reading.VISITS
    ]
    return _table(("lower bound", "promises improvement", "instances"), rows)


def _both(sides: Sides) -> str:
    sign = ">" if sides.violated else "<="
    verdict = "violated" if sides.violated else "holds"
    return f"Smaller side {_number(sides.smaller, 6)} {sign} larger side {_number(sides.larger, 6)}: {verdict}."


def _number(value: float | None, digits: int = 3) -> str:
    if value is None:
        return "-"
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return f"{0.0 if abs(value) < TOLERANCE else value:.{digits}g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return f"{markdown_table(head, rows)}\n"
