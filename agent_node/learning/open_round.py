"""A communication round between opening and closing: what partners shall hear, and what the loss is taken of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from agent_node.experience import masks, samples
from agent_node.experience.episode import Episode
from agent_node.learning import consensus
from agent_node.learning.fields import Arrays, ShareShape
from agent_node.learning.networks import Evaluation
from agent_node.learning.round import Mixed, Round
from agent_node.learning.shares import ShareFormat


@dataclass(frozen=True)
class OpenRound:
    """A round that waits for what partners share; closing it takes nothing else.

    Attributes:
        episode: What it learns from.
        outgoing: By partner, what it shall hear; a partner with nothing to hear is left out.
        round: What the algorithm is told.
        rows: The policies in use, R rows of the stack; own first.
        evaluation: Of these policies at the samples.
        logits: (R, B, A) float32, its outputs; the loss is taken of them, and leaves its gradient with them.
        edges: What both ends know of a share, by partner.
        share_format: All that crosses an edge.
        losses: Those known so far, by name.
    """

    episode: Episode
    outgoing: Mapping[str, Arrays]
    round: Round
    rows: Sequence[int]
    evaluation: Evaluation
    logits: Tensor
    edges: Mapping[str, ShareShape]
    share_format: ShareFormat
    losses: Mapping[str, float]

    def aligned(self, shares: Mapping[str, Arrays]) -> tuple[Round, dict[str, Arrays]]:
        """The round and the shares cut down to the samples that both ends of each edge hold; without any, left out."""
        rows_in_range, aligned = dict(self.round.rows_in_range), {}
        for partner, arrays in shares.items():
            bits = arrays.get(samples.NAME)
            theirs = None if bits is None else samples.unpack(bits, self.share_format.positions)
            if theirs is None or np.array_equal(theirs, self.episode.index_for(partner)):
                aligned[partner] = arrays
                continue
            our_rows, their_rows = samples.common_rows(self.episode.batch.index, theirs)
            if not len(our_rows):
                continue
            rows_in_range[partner] = torch.from_numpy(our_rows)
            names = self.share_format.names_of_rows(self.edges[partner])
            aligned[partner] = {name: array[their_rows] if name in names else array for name, array in arrays.items()}
        return self._told(replace(self.round, rows_in_range=rows_in_range), aligned), aligned

    def _told(self, now: Round, heard: Mapping[str, Arrays]) -> Round:
        """The round once partners have said what they could do: the policies held for them leave out the rest."""
        told = {partner: arrays[masks.NAME] for partner, arrays in heard.items() if masks.NAME in arrays}
        if now.possible is None or not told:
            return now
        possible = now.possible.clone()
        for partner, bits in told.items():
            rows, count = now.rows_in_range[partner], self.edges[partner].destination_actions
            where = slice(None) if rows is None else rows
            possible[1 + now.partners.index(partner), where, :count] = torch.from_numpy(masks.unpack(bits, count))
        log_probabilities, log_old = (masks.among(logs, possible) for logs in (now.log_probabilities, now.log_old))
        return replace(now, possible=possible, log_probabilities=log_probabilities, log_old=log_old)

    def mix(self, now: Round, heard: Mapping[str, Arrays], stale: Mapping[str, Arrays]) -> Mixed:
        """What is made of the agent's own by shares of this round and, where they are missing, of older ones."""
        algorithm, shares = self.share_format.algorithm, dict(heard)
        for partner, arrays in stale.items():
            names = self.share_format.names_of_rows(self.edges[partner])
            shares[partner] = {name: array for name, array in arrays.items() if name not in names}
        weights = {
            partner: consensus.metropolis_weight(len(self.outgoing), consensus.unpack(shares[partner][consensus.NAME]))
            for partner in now.heard(shares)
            if algorithm.shares_parameters
        }
        return algorithm.mix(replace(now, weights=weights), shares)

    def gradient(self, rows: Sequence[int]) -> Tensor:
        """Gradient (len(rows), P) of the loss, which has gone backward, by the parameters of the policies `rows`."""
        assert self.logits.grad is not None  # noqa: S101 - every loss is taken of the logits
        gradient = self.evaluation.gradient(self.logits.grad)
        return gradient if len(rows) == len(self.rows) else gradient[[self.rows.index(row) for row in rows]]


def outgoing_shares(
    now: Round, episode: Episode, edges: Mapping[str, ShareShape], share_format: ShareFormat
) -> dict[str, Arrays]:
    """What each partner shall hear, by partner; one with nothing to hear is left out.

    Args:
        now: The round.
        episode: What the round learns from.
        edges: To each partner.
        share_format: All that crosses an edge.
    """
    algorithm = share_format.algorithm
    exchanging = {partner: edge for partner, edge in edges.items() if edge.rows > 0 and algorithm.fields(edge)}
    possible = episode.batch.possible
    return {
        partner: share_format.complete(
            algorithm.share(now, partner, edge),
            edge,
            index=episode.index_for(partner),
            degree=len(exchanging),
            possible=None if possible is None else now.select(possible, partner).numpy(),
        )
        for partner, edge in exchanging.items()
    }
