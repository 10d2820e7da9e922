"""Whole experiments that go on where they were stopped: the quickstart, and rounds of collecting and training."""
