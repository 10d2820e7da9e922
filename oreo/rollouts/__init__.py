"""Agents play environments: the loop, and many workers on one machine or a cluster."""
