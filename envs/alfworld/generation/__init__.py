"""Games of our own: houses, tasks, and the files that alfworld plays."""
