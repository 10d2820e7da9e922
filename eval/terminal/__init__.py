"""Episodes in the terminal: the screen, the keys, watching and replaying."""
