"""Faults decide the fate of messages; they do not carry it out.

A fault maps a verdict to a verdict. A **verdict** is a tuple of delays in seconds, one per delivered copy:
`()` lost, `(0.0,)` untouched, `(0.0, 0.3)` duplicated. Every draw is named by the scenario's seed, the fault,
the edge, the message's name and the copy, so the fate of a message is the same on every substrate, and neither
another fault, another agent nor another message can change it.

| module        | is                                                                                  |
|---------------|-------------------------------------------------------------------------------------|
| selector      | whom and when: edges, kinds of messages, windows                                    |
| aim           | whether there is anything in a run for a fault to strike                            |
| distributions | delays in seconds, from a draw                                                      |
| chains        | faults with memory: one state after the other along an edge, anew in every episode  |
| case          | one message in front of one fault: its draws                                        |
| verdicts      | a function per kind, from verdict to verdict                                        |
| content       | a function per kind, from message to message                                        |
| judge         | all faults of a run, in order                                                       |
| tally         | what became of the messages, for the ledger                                         |

A few kinds look at the clock (rate limit, duty cycle, hold, windows in seconds): in real time their verdicts are as
reproducible as the clock.
"""

from __future__ import annotations

from broker.faults.judge import Judge, Look
from broker.faults.verdicts import UNTOUCHED, Verdict

__all__ = ["UNTOUCHED", "Judge", "Look", "Verdict"]
