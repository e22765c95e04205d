from __future__ import annotations

import pytest
from broker_toys import number_anew


@pytest.fixture(autouse=True)
def _numbers_begin_anew():
    number_anew()
