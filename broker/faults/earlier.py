"""The shares that a replaying fault may put in the place of later ones."""

from __future__ import annotations

from broker.faults.config import ContentConfig, StaleConfig
from broker.wire.messages import MessageName, Share

_EPISODES = 3
"""The one under way, the one before, and one more: a share with a forged episode must drive out neither."""


class Earlier:
    """For each edge, its shares of the last episodes of which any came, as they came."""

    def __init__(self) -> None:
        self._shares: dict[str, dict[int, dict[int, Share]]] = {}

    def share_for(self, config: ContentConfig, source: str, name: MessageName) -> Share | None:
        """What a fault puts in the place of the share called `name`, if such has come."""
        if not isinstance(config, StaleConfig):
            return None
        of_edge = self._shares.get(source, {})
        known = {episode: rounds for episode, rounds in of_edge.items() if episode >= config.from_episode}
        if config.of == "episode":
            return known.get(name.episode - 1, {}).get(name.number)
        before = [
            (episode, number)
            for episode, rounds in known.items()
            for number in rounds
            if (episode, number) < (name.episode, name.number)
        ]
        if not before:
            return None
        episode, number = max(before)
        return known[episode][number]

    def keep(self, source: str, share: Share) -> None:
        """A share has come on an edge where a fault may ask for it later."""
        episodes = self._shares.setdefault(source, {})
        episodes.setdefault(share.episode, {})[share.round] = share
        for wanted in (share.episode - 1, share.episode):  # behind those that nobody has asked for of late
            if wanted in episodes:
                episodes[wanted] = episodes.pop(wanted)
        if len(episodes) > _EPISODES:
            del episodes[next(iter(episodes))]
