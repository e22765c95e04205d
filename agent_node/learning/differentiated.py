"""Algorithms that say their loss alone, and leave its gradient to torch.

Its bits are torch's: they may differ from machine to machine, and a node that runs one imports torch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent_node.learning.algorithm import Algorithm
from agent_node.learning.fields import Arrays
from agent_node.learning.round import Loss, Round
from broker.errors import UserError
from broker.release import lacking

if TYPE_CHECKING:
    from torch import Tensor


class Differentiated(Algorithm):
    """An algorithm whose loss is an expression of torch's."""

    def make_ready(self) -> None:
        """Import torch, which takes seconds: others would wait for them in the first round.

        Raises:
            UserError: It is not installed.
        """
        try:
            import torch  # noqa: PLC0415 - 100 MB, so only nodes that need it import it
        except ModuleNotFoundError as error:
            if not (needed := lacking(error)):
                raise
            msg = f"the algorithm {self.name} {needed}"
            raise UserError(msg) from None
        torch.set_num_threads(1)

    @abstractmethod
    def torch_loss(
        self, now: Round, log_probabilities: Tensor, shares: Mapping[str, Arrays]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, a scalar with gradient, and its parts for the record.

        Args:
            now: The round; its arrays are numpy's.
            log_probabilities: Those of `now` (R, B, A), with gradient.
            shares: By partner; a partner that is missing was not heard in this round.
        """

    def loss(self, now: Round, shares: Mapping[str, Arrays]) -> Loss:
        """`torch_loss`, and the gradient that autograd finds."""
        import torch  # noqa: PLC0415 - see `make_ready`

        leaf = torch.tensor(now.log_probabilities, requires_grad=True)
        total, parts = self.torch_loss(now, leaf, shares)
        total.backward()  # type: ignore[no-untyped-call]
        gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        return Loss(
            float(total.detach()), gradient.numpy(), {name: float(part.detach()) for name, part in parts.items()}
        )
