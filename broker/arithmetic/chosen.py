"""The kernels that this process computes with."""

from __future__ import annotations

from broker.arithmetic.kernels import Kernels
from broker.arithmetic.reference import Reference

kernels: Kernels = Reference()
