"""``python -m parkade`` is the same as ``parkade``."""

from parkade.cli import main

main()
