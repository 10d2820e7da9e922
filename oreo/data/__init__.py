"""Stored trajectories: the buffer on disk, its shards and journals, and what is selected of it."""
