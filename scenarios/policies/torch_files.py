"""A policy as PyTorch reads it: a `state_dict` of `torch.nn.Sequential`, and what it is.

`torch.load` takes it with `weights_only=True`, so nothing in it is run. TorchScript is deprecated, and the files of
`torch.export` are of the version of torch that wrote them.
"""

from __future__ import annotations

import io
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from scenarios.policies.exported import ExportedPolicy, greatest_difference, questions_for

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".pt"


def to_torch(policy: ExportedPolicy) -> tuple[bytes, float]:
    """The file, and by how much its probabilities differ from ours at most.

    Raises:
        UserError: By too much.
    """
    import torch  # noqa: PLC0415 - takes a second, and is an extra

    state: dict[str, Tensor] = {}
    for number, (weight, bias) in enumerate(policy.layers):  # every second layer is a ReLU
        state[f"{2 * number}.weight"] = torch.from_numpy(np.ascontiguousarray(weight.T))
        state[f"{2 * number}.bias"] = torch.from_numpy(bias.copy())
    file = io.BytesIO()
    torch.save({"state_dict": state, "policy": dict(policy.facts)}, file)
    content = file.getvalue()
    observations, possible = questions_for(policy)
    masked = _probabilities(content, observations, possible) if policy.facts["masks"] else None
    return content, greatest_difference(policy, _probabilities(content, observations), masked)


def _probabilities(content: bytes, observations: np.ndarray, possible: np.ndarray | None = None) -> np.ndarray:
    """What a file gives, loaded as docs/policy.md says: probabilities (B, A)."""
    import torch  # noqa: PLC0415 - is here already
    from torch import nn  # noqa: PLC0415

    saved: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
    sizes = saved["policy"]["layers"]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    network.load_state_dict(saved["state_dict"])
    with torch.no_grad():
        logits = network(torch.from_numpy(observations))
        if possible is not None:
            logits = logits.masked_fill(~torch.from_numpy(possible), -torch.inf)
        probabilities: np.ndarray = logits.softmax(-1).numpy()
    return probabilities
