"""From trajectories to tokens: the turn format, and chat templates taken apart."""
