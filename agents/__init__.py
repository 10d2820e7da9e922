"""Agents: what turns observations into actions. `load_agent` makes one from a word."""

from oreo.agents.agent import Agent, Decision, Episode
from oreo.agents.loading import load_agent
from oreo.agents.settings import AgentConfig

__all__ = ["Agent", "AgentConfig", "Decision", "Episode", "load_agent"]
