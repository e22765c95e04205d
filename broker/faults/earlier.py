"""The shares that a replaying fault may put in the place of later ones."""

from __future__ import annotations

from broker.faults.config import ContentConfig, StaleConfig
from broker.faults.content import Body
from broker.wire.messages import MessageName, Share


class Earlier:
    """For each edge, its shares of the newest two episodes, as they came."""

    def __init__(self) -> None:
        self._shares: dict[str, dict[tuple[int, int], Share]] = {}
        self._wanted: set[str] = set()

    def share_for(self, config: ContentConfig, source: str, name: MessageName) -> Share | None:
        """What a fault puts in the place of the share called `name`, if such has come."""
        if not isinstance(config, StaleConfig):
            return None
        self._wanted.add(source)
        shares = self._shares.get(source, {})
        if config.of == "episode":
            return shares.get((name.episode - 1, name.number))
        before = [key for key in shares if key < (name.episode, name.number)]
        return shares[max(before)] if before else None

    def keep(self, source: str, body: Body) -> None:
        """A share has come; kept only where a fault has asked for older ones."""
        if source not in self._wanted or not isinstance(body, Share):
            return
        shares = self._shares.setdefault(source, {})
        shares[body.episode, body.round] = body
        newest = max(episode for episode, _ in shares)
        for key in [key for key in shares if key[0] < newest - 1]:
            del shares[key]
