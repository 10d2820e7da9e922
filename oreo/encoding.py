"""Trajectory → token ids: which tokens the agent wrote, where its turns begin, and what they were paid.

An episode is one token sequence, put together piece by piece and never rendered again as it grows, so encoding is
linear in its length and an acting agent that appends the same pieces sees exactly what training saw:

    start(observation 0) · turn(text 0) · between(observation 1) · turn(text 1) · between(observation 2) · …

A turn is its text and one end-of-turn token; these are the action tokens, the rest is state. The end token is an
action like any other, so the position before it is a trained state: V there is the value of having said this turn,
and candidates are compared by it (a state after the end token is in no loss). A step's reward stands on its end token.

Plain models: `observation\\n> turn<eos>\\nobservation\\n> turn<eos>…`. Chat models: the pieces of their chat template,
found by rendering it with sentinels. Text of environments and agents is never parsed for special tokens.
A sampled turn is stored as text and tokenised again here, which is not always the way it was sampled.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oreo.errors import DataError
from oreo.trajectory import Trajectory

PROMPT = "\n> "
"""What invites a plain model to write its turn."""
INSTRUCTION_KEY = "oreo_instruction"
"""Where a saved tokenizer keeps the instruction its model was trained with (tokenizer_config.json)."""
_CACHED_TEXTS = 1 << 16
"""Environments repeat themselves ("Nothing happens."); more than this many different texts would only cost memory."""


@dataclass(frozen=True)
class Encoded:
    """One trajectory, or a piece of one, as arrays of one length T."""

    input_ids: np.ndarray
    """[T] int64."""
    action_mask: np.ndarray
    """[T] bool: written by the agent, end-of-turn tokens included. Never True at position 0."""
    step_start: np.ndarray
    """[T] bool: first token of a turn."""
    reward: np.ndarray
    """[T] float32: a step's reward at its end-of-turn token, 0 elsewhere."""
    imitate: np.ndarray
    """[T] bool: action tokens of the steps with `imitate`."""

    def __len__(self) -> int:
        return len(self.input_ids)

    def __repr__(self) -> str:
        return (
            f"Encoded({len(self)} tokens, {int(self.action_mask.sum())} of actions, {int(self.step_start.sum())} turns)"
        )


class TurnFormat:
    """How a model's episodes are written as tokens. Make one with `TurnFormat.from_tokenizer`."""

    def __init__(
        self,
        tokenizer: Any,
        *,
        end: int,
        before: Sequence[int] = (),
        opening: str = "",
        after: Sequence[int] = (),
        joint: str = "",
        prompt: Sequence[int] = (),
        prompt_text: str = "",
        end_ids: Iterable[int] = (),
    ) -> None:
        """Args: ids stand around the text they belong to.

        start = before · text(opening + observation + prompt_text) · prompt
        between = after · text(joint + observation + prompt_text) · prompt
        """
        self.tokenizer = tokenizer
        self.end = end
        self.end_ids = frozenset({end, *end_ids})
        """Token ids that end a turn when a model writes them; `turn` itself always writes `end`."""
        self._before, self._opening = list(before), opening
        self._after, self._joint = list(after), joint
        self._prompt, self._prompt_text = list(prompt), prompt_text
        self._special = (set(tokenizer.all_special_ids) | self.end_ids) - {tokenizer.unk_token_id}
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, instruction: str | None = None) -> TurnFormat:
        """The chat template's format where the tokenizer has one, else the plain one.

        Args:
            tokenizer: of transformers.
            instruction: put before the first observation, as the system message where the template knows one. None:
                the one the tokenizer was saved with by `oreo train`, if any.

        Raises:
            DataError: no end-of-sequence token; a chat template that cannot be appended to.
        """
        if instruction is None:
            instruction = str(getattr(tokenizer, "init_kwargs", {}).get(INSTRUCTION_KEY, ""))
        if getattr(tokenizer, "chat_template", None):
            return _chat_format(tokenizer, instruction)
        if tokenizer.eos_token_id is None:
            raise DataError("the tokenizer has no end-of-sequence token, so a turn cannot end; set its eos_token")
        return cls(
            tokenizer,
            end=tokenizer.eos_token_id,
            before=_leading_ids(tokenizer),
            opening=f"{instruction}\n\n" if instruction else "",
            joint="\n",
            prompt_text=PROMPT,
        )

    # Pieces.

    def start(self, observation: str) -> list[int]:
        """Everything before the first token of the agent."""
        return self._before + self._ids(self._opening + observation + self._prompt_text) + self._prompt

    def turn(self, text: str) -> list[int]:
        """What the agent writes, end-of-turn token included."""
        return [*self._ids(text), self.end]

    def between(self, observation: str) -> list[int]:
        """Everything from a turn's end token (not included) to the next token of the agent."""
        return self._after + self._ids(self._joint + observation + self._prompt_text) + self._prompt

    def restart(self, first_observation: str, observation: str) -> list[int]:
        """A `start` in mid-episode, after what no longer fits was left behind: the task, then the present."""
        return self.start(f"{first_observation}\n{observation}")

    def decode(self, ids: Iterable[int]) -> str:
        """The text of a turn: its ids up to the first that ends it, special tokens left out."""
        kept = []
        for token in ids:
            if int(token) in self.end_ids:
                break
            kept.append(int(token))
        text: str = self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    # Whole trajectories.

    def encode(self, trajectory: Trajectory, max_length: int | None = None) -> Encoded:
        """One trajectory as token ids, masks and rewards.

        Raises:
            DataError: no steps; more than `max_length` tokens (see `split`).
        """
        (encoded,) = self.split(trajectory, None)
        if max_length is not None and len(encoded) > max_length:
            raise DataError(
                f"{_name(trajectory)} has {len(encoded)} tokens, more than the {max_length} allowed; "
                'raise max_length, or choose overlong="split" or "drop"'
            )
        return encoded

    def split(self, trajectory: Trajectory, max_length: int | None) -> list[Encoded]:
        """The trajectory in pieces of whole turns, none longer than `max_length` tokens; one piece if it fits.

        A later piece begins with the first observation (it says the task) and the present one (`restart`). What is
        earned after a piece belongs to its states as well, so the return of what follows is added to its last
        reward: every R_t is as in the whole trajectory. What a split does lose is the log-ratio of later pieces:
        within a piece, the policy counts as the reference from the cut on.

        Raises:
            DataError: no steps; a single turn that does not fit.
        """
        steps = trajectory.steps
        if not steps:
            raise DataError(f"{_name(trajectory)} has no steps")
        self._tokenize(self._texts(trajectory))
        returns = [*trajectory.returns_to_go, 0.0]
        pieces: list[Encoded] = []
        piece = _Piece(self.start(steps[0].observation))
        for index, step in enumerate(steps):
            turn = self.turn(step.text)
            lead = self.between(step.observation) if index else []
            if max_length is not None and len(piece.ids) + len(lead) + len(turn) > max_length:
                if piece.starts:
                    pieces.append(piece.encoded(returns[index]))
                    lead, piece = [], _Piece(self.restart(steps[0].observation, step.observation))
                if len(piece.ids) + len(turn) > max_length:
                    need = len(piece.ids) + len(turn)
                    raise DataError(
                        f"step {index} of {_name(trajectory)} alone has {need} tokens, {max_length} allowed"
                    )
            piece.add(lead, turn, step.reward, step.imitate)
        pieces.append(piece.encoded(0.0))
        return pieces

    # Tokenising.

    def _texts(self, trajectory: Trajectory) -> list[str]:
        """All texts that encoding this trajectory needs, to be tokenised in one call."""
        first, *rest = trajectory.steps
        texts = [self._opening + first.observation + self._prompt_text]
        texts += [self._joint + step.observation + self._prompt_text for step in rest]
        return texts + [step.text for step in trajectory.steps]

    def _ids(self, text: str) -> list[int]:
        if text not in self._cache:
            self._tokenize([text])
        return self._cache[text]

    def _tokenize(self, texts: list[str]) -> None:
        """Put the ids of each text into the cache. Text that spells a special token does not become one."""
        if len(self._cache) + len(texts) > _CACHED_TEXTS:
            self._cache.clear()
        missing = [text for text in dict.fromkeys(texts) if text not in self._cache]
        if not missing:
            return
        for text, ids in zip(missing, self._plain_ids(missing), strict=True):
            self._cache[text] = ids if self._special.isdisjoint(ids) else self._defused(text)

    def _plain_ids(self, texts: list[str]) -> list[list[int]]:
        encoded = self.tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return [list(ids) for ids in encoded["input_ids"]]

    def _defused(self, text: str) -> list[int]:
        """For tokenizers that parse special tokens all the same: cut each such word after its first character."""
        names = [name for name in self.tokenizer.convert_ids_to_tokens(sorted(self._special)) if name]
        cuts = {at + 1 for name in names for at in range(len(text)) if text.startswith(name, at)}
        edges = sorted({0, len(text), *cuts})
        parts = [text[start:end] for start, end in itertools.pairwise(edges)]
        ids = [token for part in self._plain_ids(parts) for token in part]
        return [token for token in ids if token not in self._special]


class _Piece:
    """Arrays under construction."""

    def __init__(self, start: list[int]) -> None:
        self.ids = list(start)
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.rewards: list[float] = []
        self.imitate: list[bool] = []

    def add(self, lead: list[int], turn: list[int], reward: float, imitate: bool) -> None:
        self.ids += lead
        self.starts.append(len(self.ids))
        self.ids += turn
        self.ends.append(len(self.ids))
        self.rewards.append(reward)
        self.imitate.append(imitate)

    def encoded(self, later_return: float) -> Encoded:
        length = len(self.ids)
        action_mask, step_start, imitate = (np.zeros(length, dtype=bool) for _ in range(3))
        reward = np.zeros(length, dtype=np.float32)
        for start, end, paid, shown in zip(self.starts, self.ends, self.rewards, self.imitate, strict=True):
            action_mask[start:end] = True
            step_start[start] = True
            imitate[start:end] = shown
            reward[end - 1] = paid
        reward[self.ends[-1] - 1] += later_return
        return Encoded(np.array(self.ids, dtype=np.int64), action_mask, step_start, reward, imitate)


def _name(trajectory: Trajectory) -> str:
    return f"trajectory {trajectory.game or trajectory.task or trajectory.env_id!r}"


def _leading_ids(tokenizer: Any) -> list[int]:
    """What the tokenizer itself puts before a text (a beginning-of-sequence token, or nothing)."""
    bare = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    full = list(tokenizer("a", add_special_tokens=True)["input_ids"])
    for index in range(len(full) - len(bare) + 1):
        if full[index : index + len(bare)] == bare:
            return full[:index]
    return []


# Chat templates.

_SENTINELS = [f"SENTINEL{letter}OREO" for letter in "ABCDE"]


def _chat_format(tokenizer: Any, instruction: str) -> TurnFormat:
    """Take the template apart; put the instruction into the first user message where there is no system message."""
    try:
        before, after, prompt = _template_pieces(tokenizer, instruction)
        opening = ""
    except DataError:
        if not instruction:
            raise
        before, after, prompt = _template_pieces(tokenizer, "")
        opening = f"{instruction}\n\n"

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    added = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    after_ids = ids(after)
    end_at = next((index for index, token in enumerate(after_ids) if token in added), None)
    # Llama 2 puts a space between the answer and the end token; a turn here goes without.
    if end_at is None or tokenizer.decode(after_ids[:end_at]).strip():
        raise DataError(f"the chat template ends an assistant's turn with {after!r}, which holds no end-of-turn token")
    eos = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return TurnFormat(
        tokenizer,
        end=after_ids[end_at],
        end_ids=eos,
        before=ids(before),
        opening=opening,
        after=after_ids[end_at + 1 :],
        prompt=ids(prompt),
    )


def _template_pieces(tokenizer: Any, instruction: str) -> tuple[str, str, str]:
    """(before the first user text, from an assistant text to the next user text, from a user text to the turn).

    The last is the generation prompt an acting model sees. Templates may write earlier turns differently (dropping
    an empty thinking block, say); an episode that only ever grows at its end cannot, so the prompt is used throughout.
    """
    short, middle, long = (_render(tokenizer, instruction, turns) for turns in (1, 3, 5))
    before, prompt = short
    asked, after, asked_again, after_again = long[1:5]
    steady = before == middle[0] == long[0] and prompt == middle[-1] == long[-1]
    if not steady or after != middle[2] or after != after_again or asked != asked_again or asked != middle[1]:
        raise DataError(
            "the chat template writes a turn differently as the conversation goes on, so episodes cannot be appended "
            "to; use a tokenizer with another chat template, or none"
        )
    if instruction.strip() not in before:
        raise DataError("the chat template drops the system message")
    # A template that knows no generation prompt stops short of the assistant's header.
    if asked != prompt and asked.startswith(prompt):
        prompt = asked
    return before, after, prompt


def _render(tokenizer: Any, instruction: str, turns: int) -> list[str]:
    """The template's text around `turns` sentinels (user, assistant, user, …): turns + 1 pieces."""
    messages = [{"role": "system", "content": instruction}] if instruction else []
    sentinels = _SENTINELS[:turns]
    for index, sentinel in enumerate(sentinels):
        messages.append({"role": "assistant" if index % 2 else "user", "content": sentinel})
    try:
        text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # whatever a template raises, in Jinja or in the Python it calls
        raise DataError(f"the chat template cannot render {messages[0]['role']} and user turns: {error}") from error
    pieces = []
    for sentinel in sentinels:
        if text.count(sentinel) != 1:
            raise DataError("the chat template drops or repeats messages, so episodes cannot be appended to")
        piece, text = text.split(sentinel)
        pieces.append(piece)
    return [*pieces, text]
