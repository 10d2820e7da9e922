"""Trajectory → token ids: which tokens the agent wrote, where its turns begin, and what they were paid.

An episode is one token sequence, put together piece by piece and never rendered again as it grows, so encoding is
linear in its length and an acting agent that appends the same pieces sees exactly what training saw:

    start(observation 0) · turn(text 0) · between(observation 1) · turn(text 1) · between(observation 2) · …

A turn is its text and one end-of-turn token; these are the action tokens, the rest is state. The end token is an
action like any other, so the position before it is a trained state: V there is the value of having said this turn,
and candidates are compared by it (a state after the end token is in no loss). A step's reward stands on its end token.

Where a message of the agent goes on after a turn (Step.continues_message: solutions written step by step), that turn
has no end token, and the observation, often empty, and the next turn stand right behind it as they are. Its last token
takes the place of the end token: it carries the reward, and the position before it is where candidates are compared.

The same holds for a turn that a limit on tokens has cut (Step.cut): its agent never wrote an end token. The format
needs one there, so it stands in front of what follows, as state. A turn without tokens of its own is no action; what it
was paid stands on the last action before it (or, where there is none, on the first turn after it).

Plain models: `observation\\n> turn<eos>\\nobservation\\n> turn<eos>…`. Chat models: the pieces of their chat template
(chat_templates.py). Text of environments and agents is never parsed for special tokens.
A turn whose tokens are stored (Step.token_ids) is these, where they are of the same tokenizer; any other is tokenised
here, which is not always the way it was sampled.

Where an episode outgrows the context, the oldest turns leave, and task and first observation stay
(`drop_oldest_turns`). A trajectory says from which step on the agent was told (Step.context_start), so that training
shows the same text.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from oreo.encoding.chat_templates import template_pieces
from oreo.encoding.pieces import TurnPieces
from oreo.encoding.token_digest import token_digest
from oreo.errors import DataError
from oreo.trajectory import Step, Trajectory

PROMPT = "\n> "
"""What invites a plain model to write its turn."""
INSTRUCTION_KEY = "oreo_instruction"
"""Where a saved tokenizer keeps the instruction its model was trained with (tokenizer_config.json)."""
_CACHED_TEXTS = 1 << 16
"""Environments repeat themselves ("Nothing happens."); more than this many different texts would only cost memory."""


_Text: TypeAlias = tuple[str, str]
"""(what it is tokenised behind, or "", the text)."""


@dataclass(frozen=True)
class Encoded:
    """One trajectory, or a piece of one, as arrays of one length T."""

    input_ids: np.ndarray
    """[T] int64."""
    action_mask: np.ndarray
    """[T] bool: written by the agent, end-of-turn tokens included where it wrote them. Never True at position 0."""
    step_start: np.ndarray
    """[T] bool: first token of a turn."""
    reward: np.ndarray
    """[T] float32: a step's reward at its last token, which ends the turn, 0 elsewhere."""
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

    def __init__(self, tokenizer: Any, pieces: TurnPieces) -> None:
        self.tokenizer = tokenizer
        self.pieces = pieces
        self.end = pieces.end
        self.end_ids = frozenset({pieces.end, *pieces.end_ids})
        """Token ids that end a turn when a model writes them; `turn` itself always writes `end`."""
        self._special = (set(tokenizer.all_special_ids) | self.end_ids) - {tokenizer.unk_token_id}
        self._cache: dict[_Text, list[int]] = {}

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
            return cls(tokenizer, template_pieces(tokenizer, instruction))
        if tokenizer.eos_token_id is None:
            raise DataError("the tokenizer has no end-of-sequence token, so a turn cannot end; set its eos_token")
        plain = TurnPieces(
            end=tokenizer.eos_token_id,
            before=tuple(_leading_ids(tokenizer)),
            opening=f"{instruction}\n\n" if instruction else "",
            joint="\n",
            prompt_text=PROMPT,
        )
        return cls(tokenizer, plain)

    # Pieces.

    def start(self, observation: str) -> list[int]:
        """Everything before the first token of the agent."""
        return [*self.pieces.before, *self._ids(self._opening_text(observation)), *self.pieces.prompt]

    def turn(self, text: str, *, continues_message: bool = False, cut: bool = False, preceding: str = "") -> list[int]:
        """What the agent writes: its actions, the end-of-turn token included.

        Args:
            continues_message: the message does not end with this turn: no such token.
            cut: the turn was ended for the agent: no such token either.
            preceding: the end of what stands before it in the same message (see `tail`); "": it begins one.
        """
        return self._ids(self._turn_text(text, preceding)) + ([] if continues_message or cut else [self.end])

    def between(self, observation: str, preceding: str = "", *, cut: bool = False) -> list[int]:
        """Everything from a turn's last token (not included) to the next token of the agent.

        Args:
            preceding: the end of that turn, if the message goes on; "": it has ended.
            cut: that turn was cut, so the token that ends it stands here.
        """
        if preceding:
            return self._ids((preceding, observation))
        end = [self.end] if cut else []
        return [*end, *self.pieces.after, *self._ids(self._joint_text(observation)), *self.pieces.prompt]

    def restart(self, first_observation: str, observation: str) -> list[int]:
        """A `start` in mid-episode, after what no longer fits was left behind: the task, then where it goes on."""
        return self.start(f"{first_observation}\n{observation}")

    def step(self, step: Step, observation: str, preceding: str = "") -> list[int]:
        """A turn and what the environment said then.

        Args:
            observation: which came after it.
            preceding: as of `turn`.
        """
        return self._turn_of(step, preceding) + self._reply_to(step, observation)

    def has_tokens(self, step: Step) -> bool:
        """Whether a step is an action: a turn without text has none where nothing ends it."""
        content = step.text if step.token_ids is None else step.token_ids
        return bool(content) or not (_is_open(step) or step.cut)

    def _turn_of(self, step: Step, preceding: str) -> list[int]:
        if step.token_ids is not None:
            return [*step.token_ids, *([] if _is_open(step) or step.cut else [self.end])]
        return self.turn(step.text, continues_message=_is_open(step), cut=step.cut, preceding=preceding)

    def _reply_to(self, step: Step, observation: str) -> list[int]:
        return self.between(observation, step.text[-1:] if _is_open(step) else "", cut=step.cut)

    def history(self, steps: Sequence[Step], observation: str, context_start: int = 0) -> list[int]:
        """An episode up to the next token of the agent.

        Args:
            steps: all of them.
            observation: the present one.
            context_start: the step from which it is told, beside the first observation; 0: all of it.
        """
        observations = [*(step.observation for step in steps), observation]
        first = observations[0]
        ids = self.restart(first, observations[context_start]) if context_start else self.start(first)
        preceding = ""
        for step, after in zip(steps[context_start:], observations[context_start + 1 :], strict=True):
            ids += self.step(step, after, preceding)
            preceding = tail(step, after)
        return ids

    def drop_oldest_turns(self, steps: Sequence[Step], observation: str, context_start: int, most: int) -> int | None:
        """The step from which an episode is told that has outgrown `most` tokens: its oldest turns leave.

        Half of what is there for turns is freed at once. Each departure makes everything behind it new to the models,
        and a context that is always full would have them read it again at every turn.

        Args:
            steps, observation, context_start: as of `history`; context_start is the present one.

        Returns:
            A later one, or None where the task and the present observation alone are too long.
        """
        last = len(steps)
        if last <= context_start:
            return None
        observations = [*(step.observation for step in steps), observation]
        first = observations[0]
        least = len(self.restart(first, observation))
        if least > most:
            return None
        target = least + (most - least) // 2
        kept = 0
        for at in range(last - 1, context_start, -1):
            kept += len(self.step(steps[at], observations[at + 1], tail(steps[at - 1], observations[at])))
            if len(self.restart(first, observations[at])) + kept > target:
                return at + 1
        return min(context_start + 1, last)

    def decode(self, ids: Iterable[int], preceding: str = "") -> str:
        """The text of a turn: its ids up to the first that ends it, special tokens left out.

        Args:
            preceding: as of `turn`.
        """
        kept = []
        for token in ids:
            if int(token) in self.end_ids:
                break
            kept.append(int(token))
        if preceding:
            # Some tokenizers drop the blank of a text's first token.
            before = self._ids(("", preceding))
            return self._decoded([*before, *kept]).removeprefix(self._decoded(before))
        return self._decoded(kept).removeprefix(self.pieces.turn_lead)

    def _decoded(self, ids: list[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    # Whole trajectories.

    def encode(self, trajectory: Trajectory, max_length: int | None = None) -> Encoded:
        """One trajectory as token ids, masks and rewards.

        Raises:
            DataError: no steps, or nothing in them; more than `max_length` tokens, or played in a context that was too
                short for it (see `split`).
        """
        pieces = self.split(trajectory, None)
        if not pieces:
            raise DataError(f"{_name(trajectory)} has no turn with anything in it")
        if len(pieces) > 1:
            raise DataError(f"{_name(trajectory)} outgrew its agent's context and has {len(pieces)} pieces; use split")
        check_length(pieces[0], trajectory, max_length)
        return pieces[0]

    def split(self, trajectory: Trajectory, max_length: int | None) -> list[Encoded]:
        """The trajectory as its agent was told of it: one piece, and one more for each time that old turns left.

        What does not fit into `max_length` is treated as an agent with a context of that size would have been: old
        turns leave (`drop_oldest_turns`). A later piece begins with the first observation, which says the task, and
        with what was left of the past; that past is context there and no action, so each turn is learnt from once.
        Losses put the actions of all pieces together again (oreo.training.methods).

        Returns:
            Pieces with actions in them: none where no turn has any token.

        Raises:
            DataError: no steps; a single turn that does not fit.
        """
        trajectory = self._with_known_tokens(trajectory)
        steps = trajectory.steps
        if not steps:
            raise DataError(f"{_name(trajectory)} has no steps")
        self._tokenize(self._texts(trajectory))
        observations = [step.observation for step in steps]
        starts = self._context_starts(trajectory, max_length)
        pieces: list[_Piece] = []
        for start, group in itertools.groupby(range(len(steps)), key=starts.__getitem__):
            indices = list(group)
            first = indices[0]
            piece = _Piece(self.history(steps[:first], observations[first], start))
            for index in indices:
                before = steps[index - 1] if index > start else None
                lead = self._reply_to(before, observations[index]) if index > first and before is not None else []
                preceding = tail(before, observations[index]) if before is not None else ""
                piece.add(lead, self._turn_of(steps[index], preceding), steps[index])
            pieces.append(piece)
        _pay_for_turns_without_tokens(pieces)
        return [piece.encoded() for piece in pieces if piece.turns]

    @cached_property
    def digest(self) -> str:
        """What its tokenizer is recognised by."""
        return token_digest(self.tokenizer)

    def _with_known_tokens(self, trajectory: Trajectory) -> Trajectory:
        """The trajectory with the tokens of its turns only where they are of this tokenizer."""
        if all(step.token_ids is None for step in trajectory.steps) or trajectory.tokenizer == self.digest:
            return trajectory
        return replace(trajectory, steps=tuple(replace(step, token_ids=None) for step in trajectory.steps))

    def _context_starts(self, trajectory: Trajectory, max_length: int | None) -> list[int]:
        """For each step the one from which its agent was told, later where that is more than `max_length` tokens."""
        steps = trajectory.steps
        starts: list[int] = []
        start, length = 0, len(self.start(steps[0].observation))
        for index, step in enumerate(steps):
            preceding = ""
            if index:
                before = steps[index - 1]
                length += len(self._reply_to(before, step.observation))
                preceding = tail(before, step.observation)
            turn = len(self._turn_of(step, preceding))
            wanted = max(start, min(step.context_start, index))
            if wanted > start:
                length = len(self.history(steps[:index], step.observation, wanted))
            if max_length is not None and length + turn > max_length:
                shorter = self.drop_oldest_turns(steps[:index], step.observation, wanted, max_length - turn)
                if shorter is None:
                    need = len(self.restart(steps[0].observation, step.observation)) if index else length
                    raise DataError(
                        f"step {index} of {_name(trajectory)} alone has {need + turn} tokens, {max_length} allowed, so "
                        'nothing is left to split; raise max_length, or choose overlong="drop" (--set overlong=drop)'
                    )
                wanted, length = shorter, len(self.history(steps[:index], step.observation, shorter))
            start, length = wanted, length + turn
            starts.append(start)
        return starts

    # Tokenising.

    def _opening_text(self, observation: str) -> _Text:
        return self.pieces.opening_preceding, self.pieces.opening + observation + self.pieces.prompt_text

    def _joint_text(self, observation: str) -> _Text:
        return self.pieces.joint_preceding, self.pieces.joint + observation + self.pieces.prompt_text

    def _turn_text(self, text: str, preceding: str = "") -> _Text:
        return (preceding, text) if preceding else (self.pieces.turn_preceding, self.pieces.turn_lead + text)

    def _texts(self, trajectory: Trajectory) -> list[_Text]:
        """All texts that encoding this trajectory needs, to be tokenised in one call."""
        first = trajectory.steps[0]
        texts = [self._opening_text(first.observation), self._turn_text(first.text)]
        for before, step in itertools.pairwise(trajectory.steps):
            reply = (before.text[-1:], step.observation) if _is_open(before) else self._joint_text(step.observation)
            texts += [reply, self._turn_text(step.text, tail(before, step.observation))]
        return texts

    def _ids(self, text: _Text) -> list[int]:
        if text not in self._cache:
            self._tokenize([text])
        return self._cache[text]

    def _tokenize(self, texts: list[_Text]) -> None:
        """Put the ids of each text into the cache. Text that spells a special token does not become one."""
        if len(self._cache) + len(texts) > _CACHED_TEXTS:
            self._cache.clear()
        missing = [text for text in dict.fromkeys(texts) if text not in self._cache]
        preceded = [text for text in missing if text[0]]
        for text, ids in zip(preceded, self._ids_preceding(preceded), strict=True):
            if ids is not None and self._special.isdisjoint(ids):
                self._cache[text] = ids
        alone = [text for text in missing if text not in self._cache]
        for text, plain in zip(alone, self._plain_ids([words for _, words in alone]), strict=True):
            self._cache[text] = plain if self._special.isdisjoint(plain) else self._defused(text[1])

    def _ids_preceding(self, texts: list[_Text]) -> list[list[int] | None]:
        """Each text's ids as part of a longer one; None where a token holds something of both."""
        if not texts:
            return []
        before = list(dict.fromkeys(before for before, _ in texts))
        encoded = self.tokenizer(
            [*before, *map("".join, texts)], add_special_tokens=False, split_special_tokens=False, verbose=False
        )["input_ids"]
        ids_of = dict(zip(before, encoded, strict=False))
        continuations: list[list[int] | None] = []
        for (name, _), ids in zip(texts, encoded[len(before) :], strict=True):
            lead = ids_of[name]
            continuations.append(list(ids[len(lead) :]) if list(ids[: len(lead)]) == list(lead) else None)
        return continuations

    def _plain_ids(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
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


def tail(step: Step, observation: str) -> str:
    """The last character of what the next turn stands right behind; "" where that turn begins a message.

    Args:
        observation: what came after the step.
    """
    return (observation or step.text)[-1:] if _is_open(step) else ""


def _is_open(step: Step) -> bool:
    """Whether its message goes on behind it; a message that has not begun cannot."""
    return step.continues_message and bool(step.text)


def check_length(encoded: Encoded, trajectory: Trajectory, max_length: int | None) -> None:
    """Raises DataError where a trajectory, or a piece of one, has more than `max_length` tokens."""
    if max_length is not None and len(encoded) > max_length:
        raise DataError(
            f"{_name(trajectory)} has {len(encoded)} tokens, more than the {max_length} allowed; "
            'choose overlong="split" or "drop" (--set overlong=split), or raise max_length as far as the model reads'
        )


@dataclass
class _Turn:
    """Where the actions of a step stand in a piece, and what they were paid."""

    start: int
    stop: int
    reward: float
    imitate: bool


class _Piece:
    """Arrays under construction."""

    def __init__(self, start: list[int]) -> None:
        self.ids = list(start)
        self.turns: list[_Turn] = []
        self.unpaid: list[tuple[int, float]] = []
        """Rewards of turns without tokens, and how many turns stand before each of them."""

    def add(self, lead: list[int], turn: list[int], step: Step) -> None:
        self.ids += lead
        if turn:
            self.turns.append(_Turn(len(self.ids), len(self.ids) + len(turn), step.reward, step.imitate))
        else:
            self.unpaid.append((len(self.turns), step.reward))
        self.ids += turn

    def encoded(self) -> Encoded:
        length = len(self.ids)
        action_mask, step_start, imitate = (np.zeros(length, dtype=bool) for _ in range(3))
        reward = np.zeros(length, dtype=np.float32)
        for turn in self.turns:
            action_mask[turn.start : turn.stop] = True
            step_start[turn.start] = True
            imitate[turn.start : turn.stop] = turn.imitate
            reward[turn.stop - 1] = turn.reward
        return Encoded(np.array(self.ids, dtype=np.int64), action_mask, step_start, reward, imitate)


def _pay_for_turns_without_tokens(pieces: Sequence[_Piece]) -> None:
    """Rewards can only be earned by actions: one without goes to the turn before it, else to the first there is."""
    turns = [turn for piece in pieces for turn in piece.turns]
    before = 0
    for piece in pieces:
        for place, reward in piece.unpaid if turns else ():
            turns[max(before + place - 1, 0)].reward += reward
        before += len(piece.turns)


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
