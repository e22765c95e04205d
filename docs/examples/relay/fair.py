"""Fair: own advantages, plus a weight times those of the neighbor for which the episode went worst."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field as Setting

from agent_node.learning.algorithm import Algorithm, Arrays, Field, Kind, Mixed, Round, ShareShape
from broker.config import Model


class FairSettings(Model):
    """What a scenario may say under `[algorithm.settings]`."""

    weight: float = Setting(default=1.0, ge=0, le=10, description="What the advantages of the worst-off count.")


class Fair(Algorithm):
    """Who hears of nobody learns for itself."""

    name = "fair"
    settings_model = FairSettings
    tells = "what every step was worth to it"

    def fields(self, edge: ShareShape) -> tuple[Field, ...]:
        """One advantage a sample."""
        return (Field("advantages", Kind.REAL, (edge.rows,)),)

    def share(self, now: Round, neighbor: str, edge: ShareShape) -> Arrays:
        """The own advantages of samples that both have seen."""
        return {"advantages": now.select(now.advantages, neighbor)}

    def mix(self, now: Round, shares: Mapping[str, Arrays]) -> Mixed:
        """Add those of the neighbor whose advantages are least at each sample."""
        heard = [shares[partner]["advantages"] for partner in now.heard(shares)]
        if not heard:
            return Mixed()
        weight = np.float32(self.own_settings.weight)
        return Mixed(advantages=now.advantages + weight * np.minimum.reduce(heard))
