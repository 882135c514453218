from __future__ import annotations

from hypothesis import settings

# No deadline: the machine that tests run on is shared, and speed is what the benchmarks measure.
settings.register_profile("tests", deadline=None, max_examples=60, database=None, derandomize=True)
settings.load_profile("tests")
