"""Which actions the agents are told to be possible, where a task masks any."""

from __future__ import annotations

import numpy as np

from broker.wire.messages import Ended
from env_service.environments.task import Flags, Task, all_possible

_RUNNING = int(Ended.RUNNING)


def masks_of(task: Task, ended: Flags) -> Flags | None:
    """What each agent (N) may do now in each copy (E), of A actions, the most that any agent has.

    An agent that has ended has no choice to make, so nothing that is said of it counts: it is told all its actions.

    Args:
        task: The task.
        ended: How it stands, (E, N) uint8 of `Ended`.

    Returns:
        (E, N, A) uint8; None where the task masks none.
    """
    masks = task.action_masks()
    if masks is None:
        return None
    told: Flags = np.where((ended == _RUNNING)[..., None], masks, all_possible(task.action_counts))
    return told
