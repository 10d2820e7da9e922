"""The keys, each once: what they are bound to, what the footer and the page of help say of them."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True)
class Key:
    """What a key does."""

    keys: str
    """As textual names them, with commas between."""
    action: str
    shown: str
    """As the help writes it."""
    help: str
    footer: str = ""
    """A word for the footer; empty: only the help has it."""

    @property
    def binding(self) -> Binding:
        return Binding(self.keys, self.action, self.footer or self.help, show=bool(self.footer), key_display=self.shown)


EPISODE = (
    Key("space", "pause", "space", "pause, and go on", "pause"),
    Key("right", "step(1)", "→", "a step on; of a live episode, let the agent take one", "step"),
    Key("left", "step(-1)", "←", "a step back", "back"),
    Key("up,down,pageup,pagedown", "nothing", "↑ ↓ PgUp PgDn", "scroll the transcript"),
    Key("plus,equals_sign", "faster", "+", "faster"),
    Key("minus", "slower", "-", "slower"),
    Key("home", "first", "Home", "the beginning"),
    Key("end", "last", "End", "the last step, and of a live episode whatever comes"),
    Key("slash", "search", "/", "search; Enter and ↓ the next hit, ↑ the one before, Esc closes", "search"),
    Key("v", "fall", "v", "the largest fall of value, then the second largest", "fall"),
    Key("r", "refusal", "r", "the next refused action", "refusal"),
    Key("n", "failure(1)", "n", "the next lost episode", "lost"),
    Key("N", "failure(-1)", "N", "the lost episode before"),
    Key("right_square_bracket", "episode(1)", "]", "the next episode; live, the next game"),
    Key("left_square_bracket", "episode(-1)", "[", "the episode, or the game, before"),
    Key("t", "tokens", "t", "the turn token by token", "tokens"),
    Key("w", "world", "w", "the world, where the environment can show it", "world"),
    Key("a", "act", "a", "take over: type an action that goes on from the state shown", "act"),
    Key("u", "agent", "u", "let the agent go on from the state shown", "agent"),
    Key("c", "copy", "c", "copy the step"),
    Key("e", "export", "e", "write this episode to a file: text, JSON, SVG", "export"),
    Key("l", "log", "l", "what agent and environment print"),
    Key("escape", "back", "Esc", "back to the list"),
    Key("question_mark", "help", "?", "this page", "keys"),
    Key("q", "app.quit", "q", "leave", "quit"),
)
LIST = (
    Key("enter", "open", "Enter", "open the episode", "open"),
    Key("up,down,pageup,pagedown,home,end", "nothing", "↑ ↓ PgUp PgDn Home End", "move"),
    Key("slash", "find", "/", "find: type any part of task, game, agent, outcome; Enter the next, Esc closes", "find"),
    Key("f", "filter", "f", 'only episodes like this: won and steps < 20 and task ~ "apple"', "filter"),
    Key("s", "sort", "s", "sort by the next column (or click on its name)", "sort"),
    Key("S", "reverse", "S", "the other way round", "reverse"),
    Key("n", "failure(1)", "n", "the next lost episode", "lost"),
    Key("N", "failure(-1)", "N", "the lost episode before"),
    Key("escape", "back", "Esc", "all episodes again"),
    Key("question_mark", "help", "?", "this page", "keys"),
    Key("q", "app.quit", "q", "leave", "quit"),
)


def bindings(keys: tuple[Key, ...]) -> list[Binding]:
    """What textual binds; keys whose action is "nothing" are a widget's own and stand in the help alone."""
    return [key.binding for key in keys if key.action != "nothing"]
