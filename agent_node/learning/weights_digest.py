"""What tells the weights of agents apart."""

from __future__ import annotations

from hashlib import sha256

import numpy as np


def weights_digest(policies: np.ndarray, critic: np.ndarray, *estimators: np.ndarray) -> str:
    """SHA-256 over all parameters of an agent: of its policies (R, P), its critic (1, P) and its estimators."""
    return sha256(b"".join(array.tobytes() for array in (policies, critic, *estimators))).hexdigest()
