"""Which kernels compute here."""

from __future__ import annotations


class _Stub:
    name = "reference"


kernels = _Stub()
