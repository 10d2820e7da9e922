"""An agent in twenty lines: say the first admissible command that it has not said yet.

oreo eval --agent examples/greedy_agent.py:Greedy --episodes 20
"""

from oreo.agents import Decision, Episode


class Greedy:
    name = "greedy"
    checkpoint = ""  # without weights

    def act(self, episodes: list[Episode]) -> list[Decision]:
        return [self.decide(episode) for episode in episodes]

    def decide(self, episode: Episode) -> Decision:
        tried = {step.action for step in episode.steps}
        commands = episode.info.get("admissible_commands") or ["look"]
        return Decision(next((command for command in commands if command not in tried), commands[0]))
