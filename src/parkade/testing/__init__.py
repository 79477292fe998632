"""Simulated worlds for tests: a clock that jumps, a network that is seeded and bad, machines that are pure. Public."""
