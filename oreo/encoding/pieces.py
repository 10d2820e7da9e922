"""What a model's episodes are put together from, beside what environment and agent say.

Chat templates are taken apart into these (chat_templates.py); plain models have a prompt and their end-of-sequence
token. `oreo.encoding.turn_format.TurnFormat` puts them together again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TurnPieces:
    """Token ids stand around the texts they belong to:

    start = before · text(opening + observation + prompt_text) · prompt
    between = after · text(joint + observation + prompt_text) · prompt
    """

    end: int
    """The token that ends a turn when the turn is written by this package."""
    end_ids: tuple[int, ...] = ()
    """Others that end a turn when a model writes them."""
    before: tuple[int, ...] = ()
    """What an episode begins with."""
    opening: str = ""
    """What the first observation stands behind: the instruction, or what is left of the template's header."""
    opening_preceding: str = ""
    """What `opening` is tokenised behind, as it is where a template is rendered first and tokenised then; "": by
    itself."""
    after: tuple[int, ...] = ()
    """From the end of a turn to the next observation."""
    joint: str = ""
    """What a later observation stands behind."""
    joint_preceding: str = ""
    """What `joint` is tokenised behind."""
    prompt: tuple[int, ...] = ()
    """From an observation to the turn: the generation prompt."""
    prompt_text: str = ""
    """The beginning of that, where it is text that is tokenised with the observation."""
    turn_preceding: str = ""
    """What a turn is tokenised behind."""
    turn_lead: str = ""
    """Blanks before a turn that belong to its first token, and not to its text."""
