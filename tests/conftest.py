"""What every test shares: hypothesis without a stop-watch (machines differ), and the same examples on every CI run."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("parkade", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("parkade")
