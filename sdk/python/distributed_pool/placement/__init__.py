"""Placement: choosing a member of a pool, and being admitted by it."""
