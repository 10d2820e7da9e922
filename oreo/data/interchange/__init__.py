"""Other people's trajectories, in and out: a file a format, found by its content (registry.py)."""
