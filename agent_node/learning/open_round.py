"""A communication round between opening and closing: what partners shall hear, and what the loss is taken of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agent_node.experience import masks, samples
from agent_node.experience.episode import Episode
from agent_node.learning import consensus
from agent_node.learning.fields import Arrays, ShareShape
from agent_node.learning.given import Taking
from agent_node.learning.round import Loss, Mixed, Round
from agent_node.learning.shares import ShareFormat
from broker.arithmetic.chosen import kernels
from broker.arithmetic.kernels import Pass


@dataclass(frozen=True)
class OpenRound:
    """A round that waits for what partners share; closing it takes nothing else.

    Attributes:
        episode: What it learns from.
        outgoing: By partner, what it shall hear; a partner with nothing to hear is left out.
        round: What the algorithm is told.
        rows: The policies in use, R rows of the stack; own first.
        passed: These policies, evaluated at the samples: the forward pass made to share is the one learned from.
        edges: What both ends know of a share, by partner.
        share_format: All that crosses an edge.
        losses: Those known so far, by name.
    """

    episode: Episode
    outgoing: Mapping[str, Arrays]
    round: Round
    rows: Sequence[int]
    passed: Pass
    edges: Mapping[str, ShareShape]
    share_format: ShareFormat
    losses: Mapping[str, float]

    def aligned(self, shares: Mapping[str, Arrays]) -> tuple[Round, dict[str, Arrays]]:
        """The round and the shares cut down to the samples that both ends of each edge hold; without any, left out."""
        rows_in_range, aligned = dict(self.round.rows_in_range), {}
        for partner, arrays in shares.items():
            bits = arrays.get(samples.NAME)
            # What partners are told of the samples is what they tell, bit for bit, where both hold the same.
            if bits is None or bits.tobytes() == self.outgoing[partner][samples.NAME].tobytes():
                aligned[partner] = arrays
                continue
            theirs = samples.unpack(bits, self.share_format.positions)
            our_rows, their_rows = samples.common_rows(self.episode.batch.index, theirs)
            if not len(our_rows):
                continue
            rows_in_range[partner] = our_rows
            names = self.share_format.names_of_rows(self.edges[partner])
            aligned[partner] = {name: array[their_rows] if name in names else array for name, array in arrays.items()}
        return self._told(replace(self.round, rows_in_range=rows_in_range), aligned), aligned

    def _told(self, now: Round, heard: Mapping[str, Arrays]) -> Round:
        """The round once partners have said what they could do: the policies held for them leave out the rest."""
        told = {partner: arrays[masks.NAME] for partner, arrays in heard.items() if masks.NAME in arrays}
        if now.possible is None or not told:
            return now
        possible = now.possible.copy()
        for partner, bits in told.items():
            rows, count = now.rows_in_range[partner], self.edges[partner].destination_actions
            where = slice(None) if rows is None else rows
            possible[1 + now.partners.index(partner), where, :count] = masks.unpack(bits, count)
        log_probabilities = masks.among(self.passed.outputs, possible)
        behaves = now.log_old is not now.log_probabilities
        log_old = masks.among(now.log_old, possible) if behaves else log_probabilities
        return replace(now, possible=possible, log_probabilities=log_probabilities, log_old=log_old)

    def mix(self, now: Round, heard: Mapping[str, Arrays], others: Mapping[str, Arrays]) -> Mixed:
        """What is made of the agent's own by the shares of this round.

        Args:
            now: The round.
            heard: By partner, shares about samples that both hold.
            others: By partner, shares about none of them: what is said of samples in these is left out.
        """
        algorithm, shares = self.share_format.algorithm, dict(heard)
        for partner, arrays in others.items():
            names = self.share_format.names_of_rows(self.edges[partner])
            shares[partner] = {name: array for name, array in arrays.items() if name not in names}
        weights = {
            partner: consensus.metropolis_weight(len(self.outgoing), consensus.unpack(shares[partner][consensus.NAME]))
            for partner in now.heard(shares)
            if algorithm.shares_parameters
        }
        return algorithm.mix(replace(now, weights=weights), shares)

    def gradient(self, now: Round, loss: Loss) -> np.ndarray:
        """Gradient (R, B, A) of `loss` by the outputs of the policies."""
        gradient = kernels.log_softmax_gradient(now.log_probabilities, np.ascontiguousarray(loss.gradient))
        return gradient if now.possible is None else np.where(now.possible, gradient, np.float32(0))


def outgoing_shares(
    now: Round, episode: Episode, edges: Mapping[str, ShareShape], share_format: ShareFormat
) -> dict[str, Arrays]:
    """What each partner shall hear, by partner; one with nothing to hear is left out.

    Args:
        now: The round.
        episode: What the round learns from.
        edges: To each partner.
        share_format: All that crosses an edge.

    Raises:
        UserCodeRefused: What the algorithm shares is not what its `fields` say.
    """
    algorithm = share_format.algorithm
    exchanging = {partner: edge for partner, edge in edges.items() if edge.rows > 0 and share_format.fields(edge)}
    possible = episode.batch.possible
    outgoing = {}
    for partner, edge in exchanging.items():
        own = algorithm.share(now, partner, edge)
        with Taking(now.draws, f"share() of {algorithm.name} for {partner}"):
            outgoing[partner] = share_format.complete(
                own,
                edge,
                index=episode.index_for(partner),
                degree=len(exchanging),
                possible=None if possible is None else now.select(possible, partner),
            )
    return outgoing
