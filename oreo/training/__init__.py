"""Training on stored trajectories: the loop, methods and losses, settings and recipes, run folders."""
