"""What all tests need."""

from __future__ import annotations

import sys
from pathlib import Path

from broker.threads import limit_threads

limit_threads()
sys.path.insert(0, str(Path(__file__).parent / "scenarios"))
