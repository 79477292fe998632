"""Parkade: a self-hosted business phone system built around call park."""

__version__ = "0.1.0"
