"""`python -m oreo`, the same as `oreo`."""

from oreo.cli import main

main()
