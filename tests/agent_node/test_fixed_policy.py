"""What acts for an agent that never learns."""

from __future__ import annotations

import numpy as np
import pytest
from agent_cases import agent_config, make_learner, toy_episode
from learner_cases import policies
from message_cases import seen_of

from agent_node.fixed_policy import FixedPolicy
from broker.arithmetic.sizes import Sizes


@pytest.mark.parametrize("masks", [False, True])
def test_it_draws_what_the_learner_would_whose_policy_it_is(masks: bool) -> None:
    config = agent_config(copies=40, steps=5, masks=masks)
    learner, toy = make_learner(config), toy_episode(config, state_seed=3)
    sizes = Sizes(config.observation_size, config.learning.hidden, 3)
    fixed = FixedPolicy(config, sizes, policies(learner)[0], "")
    found = []
    for acting in (learner, fixed):
        acting.begin_episode(4)
        mask = [None] * 5 if toy.masks is None else toy.masks
        seen = [seen_of(toy.observations[k], toy.rewards[k], toy.ended[k], None, mask[k])[1] for k in range(5)]
        found.append(np.stack([acting.act(step, data).copy() for step, data in enumerate(seen)]))
    assert len(np.unique(found[0])) > 1
    np.testing.assert_array_equal(*found)
