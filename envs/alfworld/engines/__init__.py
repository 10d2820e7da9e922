"""What plays a game: the simulator, and the original in a process of its own."""
