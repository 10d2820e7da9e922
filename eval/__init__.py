"""Success and its uncertainty, and the screens on which an agent or a stored episode is watched."""
