"""Decisions: pure functions from facts to attempts; none knows another."""
