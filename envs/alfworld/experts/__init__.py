"""Who knows what to do next: the explorer, alfworld's hand-coded expert, and the planner."""
