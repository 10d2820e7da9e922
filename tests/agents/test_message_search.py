"""The search for whole messages against one that is written out: no caches, no batch, every state read anew."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from helpers.word_models import WORDS, Babble, make_model
from oreo.actions import action_of
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.message_search import MessageSearchAgent, _Beam
from oreo.agents.reading import EpisodeReader
from oreo.agents.sampling import draw
from oreo.encoding.turn_format import tail
from oreo.envs.text_env import TextEnv, continues_message
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Step

from .test_best_of_k import plain

STOP = ("\n", *(f"w{number}" for number in range(20, 60, 3)))


class Spell(TextEnv):
    """A message of up to four steps, in which the environment says a word at times; some words end it."""

    max_steps = 4

    def start(self, rng: np.random.Generator) -> str:
        self.lines: tuple[str, ...] = ()
        self.ended: str | None = None
        return " ".join(rng.choice(WORDS, 5))

    def act(self, text: str) -> tuple[str, float, bool]:
        self.lines += (text,)
        words = text.split()
        done = bool(words) and words[-1] in WORDS[::4]
        self.ended = f"{len(words)} words" if done else None
        # A reward that would mislead whoever looks at it.
        return "w2" if len(text) % 3 == 0 else "", float(len(text)), done

    def info(self) -> dict[str, Any]:
        return {"stop": STOP, "answer": self.ended}

    def snapshot(self) -> Any:
        return self.lines, self.ended

    def restore(self, snapshot: Any) -> None:
        self.lines, self.ended = snapshot


def make_agent(tokenizer: Any, **settings: Any) -> MessageSearchAgent:
    policy, value = make_model("llama"), make_model("llama", seed=1, value=True)
    own = {key: settings.pop(key) for key in ("search", "width", "budget", "budget_steps") if key in settings}
    return MessageSearchAgent(EpisodeReader(policy, tokenizer, value=value, **{"max_new_tokens": 3} | settings), **own)


def sampled(agent: Any, ids: list[int], uniform: np.ndarray, preceding: str) -> tuple[str, float, int]:
    """A turn, token by token: its text, log-probability and number of tokens."""
    tokens: list[int] = []
    total = 0.0
    for number in uniform:
        logits = plain(agent.reader.policy.model, ids + tokens)[-1:]
        token, log_prob = draw(logits, np.array([[number]]), temperature=agent.reader.sampler.temperature)
        total += float(log_prob[0, 0])
        if int(token[0, 0]) in agent.reader.contexts.format.end_ids:
            break
        tokens.append(int(token[0, 0]))
        if any(mark in agent.reader.contexts.format.decode(tokens, preceding) for mark in STOP):
            break
    return agent.reader.contexts.format.decode(tokens, preceding), total, len(tokens)


def written_out(agent: MessageSearchAgent, trajectory: Any, index: int) -> tuple[list[str], int]:
    """The turns of the message that the search finds in an episode, and the tokens it samples."""
    world = Spell()
    world.reset(seed=trajectory.seed)
    from oreo.rollouts.settings import seeds

    rng = seeds(0, index)[1]
    start = agent.reader.contexts.format.start(trajectory.steps[0].observation)
    beams: list[dict[str, Any]] = [
        {"ids": start, "behind": "", "turns": [], "message": "", "world": world.snapshot(), "over": False}
    ]
    tokens = 0
    for depth in range(Spell.max_steps):
        grown = [beam for beam in beams if beam["over"]]
        draws = {
            place: rng.random(
                (agent.width if agent.search == "beam" or not depth else 1, agent.reader.sampler.max_new_tokens)
            )
            for place, beam in enumerate(beams)
            if not beam["over"]
        }
        for place, uniform in draws.items():
            beam = beams[place]
            turns = [sampled(agent, beam["ids"], row, beam["behind"]) for row in uniform]
            tokens += sum(count + 1 for *_, count in turns)
            texts = [text for text, *_ in turns]
            if agent.search == "beam":
                turns = [turn for place, turn in enumerate(turns) if texts.index(turn[0]) == place]
            for text, log_prob, _ in turns:
                on = continues_message(text, STOP)
                ids = agent.reader.contexts.format.turn(text, continues_message=on, preceding=beam["behind"])[:-1]
                worth = float(plain(agent.reader.value_reader.cache.model, beam["ids"] + ids)[-1, 0])  # type: ignore[union-attr]
                world.restore(beam["world"])
                observation, _, done, _, info = world.step(action_of(text))
                step = Step("", text, continues_message=on)
                grown.append(
                    {
                        "ids": beam["ids"] + agent.reader.contexts.format.step(step, observation, beam["behind"]),
                        "behind": tail(step, observation),
                        "turns": [*beam["turns"], text],
                        "message": beam["message"] + text + observation,
                        "world": world.snapshot(),
                        "rank": (round(worth, 4), beam.get("likely", 0.0) + log_prob),
                        "likely": beam.get("likely", 0.0) + log_prob,
                        "ended": done,
                        "over": done or depth + 1 == Spell.max_steps,
                        "answer": info["answer"],
                    }
                )
        if agent.search == "beam":
            first = {beam["message"]: place for place, beam in reversed(list(enumerate(grown)))}
            grown = [beam for place, beam in enumerate(grown) if first[beam["message"]] == place]
            finished = [beam for beam in grown if beam in beams]
            others = sorted((beam for beam in grown if beam not in beams), key=lambda beam: beam["rank"], reverse=True)
            grown = finished + others[: agent.width - len(finished)]
        beams = grown
        if all(beam["over"] for beam in beams):
            break
    ended = [beam for beam in beams if beam["ended"]] or beams
    if agent.search == "vote":
        most = Counter(beam["answer"] for beam in ended if beam["answer"]).most_common(1)
        return next((b["turns"] for b in ended if most and b["answer"] == most[0][0]), ended[0]["turns"]), tokens
    return max(ended, key=lambda beam: beam["rank"])["turns"], tokens


@pytest.mark.parametrize("search", ["beam", "best", "vote"])
@pytest.mark.parametrize("width", [1, 3])
def test_it_finds_what_a_search_finds_that_is_written_out(search: str, width: int, tokenizer: Any) -> None:
    agent = make_agent(tokenizer, search=search, width=width)
    played = rollout(Spell, agent=agent, episodes=6, batch_size=4)
    assert len({len(episode) for episode in played}) > 1
    total = 0
    for index, trajectory in enumerate(played):
        expected, tokens = written_out(agent, trajectory, index)
        assert [step.text for step in trajectory.steps] == expected
        total += tokens
    assert agent.tokens == total


def values_of(agent: MessageSearchAgent, told: dict[tuple[str, str], list[int]]) -> dict[tuple[str, str], float]:
    """V after each sequence of tokens, those of a length in one plain pass."""
    value: dict[tuple[str, str], float] = {}
    for length in set(map(len, told.values())):
        rows = {key: ids for key, ids in told.items() if len(ids) == length}
        with torch.no_grad():
            model = agent.reader.value_reader.cache.model  # type: ignore[union-attr]
            outputs = model(input_ids=torch.tensor(list(rows.values())), use_cache=False).logits[:, -1, 0]
        value |= dict(zip(rows, outputs.tolist(), strict=True))
    return value


def test_beams_enough_for_the_whole_tree_find_the_best_of_all_messages(tokenizer: Any) -> None:
    class TwoWords(Spell):
        """Every message of two turns of a token each."""

        def act(self, text: str) -> tuple[str, float, bool]:
            self.lines += (text,)
            return "", 0.0, len(self.lines) == 2

    # So hot that each of the tokens is drawn at least once in four hundred times.
    agent = make_agent(tokenizer, width=400, max_new_tokens=1, temperature=100.0)
    (played,) = rollout(TwoWords, agent=agent, episodes=1)
    start = agent.reader.contexts.format.start(played.steps[0].observation)
    texts = [step.text for step in played.steps]

    tokens = [token for token in range(len(tokenizer)) if token not in agent.reader.contexts.format.end_ids]
    told: dict[tuple[str, str], list[int]] = {}
    for one in {"", *(agent.reader.contexts.format.decode([token], "") for token in tokens)}:
        step = Step("", one, continues_message=continues_message(one, STOP))
        ids = start + agent.reader.contexts.format.step(step, "", "")
        preceding = tail(step, "")
        for other in {"", *(agent.reader.contexts.format.decode([token], preceding) for token in tokens)}:
            on = continues_message(other, STOP)
            last = agent.reader.contexts.format.turn(other, continues_message=on, preceding=preceding)[:-1]
            told[one, other] = ids + last
    value = values_of(agent, told)
    assert len(value) > 2_000
    assert value[texts[0], texts[1]] == pytest.approx(max(value.values()), abs=1e-5)


def test_one_beam_at_temperature_0_is_greedy(tokenizer: Any) -> None:
    settings = {"temperature": 0.0, "max_new_tokens": 3}
    searched = rollout(Spell, agent=make_agent(tokenizer, width=1, **settings), episodes=6, batch_size=4)
    greedy = rollout(
        Spell, agent=LanguageModelAgent(EpisodeReader(make_model("llama"), tokenizer, **settings)), episodes=6
    )
    assert [[step.text for step in episode.steps] for episode in searched] == [
        [step.text for step in episode.steps] for episode in greedy
    ]


def test_an_episode_does_not_depend_on_the_batch_it_is_in(tokenizer: Any) -> None:
    played = [rollout(Spell, agent=make_agent(tokenizer, width=3), episodes=6, batch_size=size) for size in (1, 6)]
    for one, other in zip(*played, strict=True):
        assert [step.text for step in one.steps] == [step.text for step in other.steps]
        assert one.steps[0].candidates[0].value == pytest.approx(other.steps[0].candidates[0].value, abs=1e-4)


def test_with_the_true_value_a_wider_search_wins_whatever_can_be_won(tokenizer: Any) -> None:
    class Count(Spell):
        """Won by a message whose every word is even."""

        def act(self, text: str) -> tuple[str, float, bool]:
            self.lines += (text,)
            good = all(int(word[1:] or 1) % 2 == 0 for word in " ".join(self.lines).split() if word in WORDS)
            done = len(self.lines) == 3
            return "", float(done and good), done

    class Oracle(MessageSearchAgent):
        def _values(self, level: Any) -> dict[int, list[float]]:
            def worth(message: str) -> float:
                return float(all(int(word[1:]) % 2 == 0 for word in message.split() if word in WORDS))

            return {beam.key: [worth(f"{beam.message} {turn.text}") for turn in beam.turns] for beam in level}

    policy, value = make_model("llama"), make_model("llama", seed=1, value=True)
    won = {}
    for width in (1, 12):
        reader = EpisodeReader(policy, tokenizer, value=value, max_new_tokens=1, temperature=5.0)
        agent = Oracle(reader, width=width)
        won[width] = sum(episode.won for episode in rollout(Count, agent=agent, episodes=20, batch_size=10))
    assert won[12] == 20 > won[1]


STEP = 3 + 1
"""Tokens of a step at most: those of `make_agent`, and the one that ends it."""


@pytest.mark.parametrize("search", ["beam", "best", "vote"])
@pytest.mark.parametrize("budget", [1, 20, 60])
def test_a_budget_is_kept_to_but_for_the_step_under_way_and_the_rest_of_one_message(
    search: str, budget: int, tokenizer: Any
) -> None:
    class Endless(Spell):
        """No word ends it before its last step."""

        def act(self, text: str) -> tuple[str, float, bool]:
            return super().act(text)[0], 0.0, len(self.lines) == Spell.max_steps

    free, bound = (
        make_agent(tokenizer, width=3, search=search, budget=tokens_at_most) for tokens_at_most in (None, budget)
    )
    for index in range(4):
        spent = []
        for agent in (free, bound):
            before = agent.tokens
            (played,) = rollout(Endless, agent=agent, episodes=1, seed=index)
            assert played.terminated and len(played) == Spell.max_steps
            spent.append(agent.tokens - before)
        level = STEP * (9 if search == "beam" else 3)
        assert spent[1] <= min(spent[0], budget + level + STEP * Spell.max_steps)
        if budget == 1:  # three first steps, then one sample a step
            assert spent[1] <= STEP * (3 + Spell.max_steps - 1) < spent[0]
        assert spent[1] >= min(spent[0], budget), "it is used"


def test_a_budget_in_steps_widens_so_many_steps_and_no_more(tokenizer: Any) -> None:
    class Endless(Spell):
        def act(self, text: str) -> tuple[str, float, bool]:
            return super().act(text)[0], 0.0, len(self.lines) == Spell.max_steps

    for steps in (1, 2):
        for played in rollout(Endless, agent=make_agent(tokenizer, width=3, budget_steps=steps), episodes=6):
            counts = [len(step.candidates) for step in played.steps]
            assert counts[0] > 1 and counts[steps:] == [1] * (Spell.max_steps - steps)


def test_a_finished_beam_stays_and_equal_messages_are_kept_once(tokenizer: Any) -> None:
    agent = make_agent(tokenizer, width=3)
    episode = object()

    def beam(message: str, value: float, over: bool = False) -> _Beam:
        return _Beam(episode, 0, [], "", (), None, None, message=message, value=value, over=over)  # type: ignore[arg-type]

    done = beam("a b", -5.0, over=True)
    children = [beam("a c", 0.5), beam("a b", 9.0), beam("a d", 0.9), beam("a c", 0.8), beam("a e", 0.4)]
    assert agent._survivors([done], children) == [done, children[2], children[0]]
    assert agent._survivors([], children)[:2] == [children[1], children[2]]
    assert agent._survivors([done] * 3, children) == [done] * 3


def test_votes_are_counted_by_what_answers_are_and_not_by_how_they_are_written(tokenizer: Any) -> None:
    class Asked(Spell):
        """Every message ends at once, and no two answers are written alike, though they may be equal."""

        spellings = 0

        def act(self, text: str) -> tuple[str, float, bool]:
            self.lines += (text,)
            self.ended, self.spellings = text, self.spellings + 1
            return "", 0.0, True

        def info(self) -> dict[str, Any]:
            return {"stop": STOP, "answer": f"{self.ended}, no. {self.spellings}", "answer_key": self.ended}

    agent = make_agent(tokenizer, width=25, search="vote", max_new_tokens=1, temperature=50.0)
    others = 0
    for played in rollout(Asked, agent=agent, episodes=4):
        answers = [candidate.text for candidate in played.steps[0].candidates]
        assert played.steps[0].text == Counter(answers).most_common(1)[0][0]
        others += played.steps[0].text != answers[0]
    assert others, "more than the first of all was looked at"

    class Silent(Spell):
        def info(self) -> dict[str, Any]:
            return {"stop": STOP}

    with pytest.raises(UsageError, match="counts the answers"):
        rollout(Silent, agent=agent, episodes=1)


def test_wrong_settings_and_worlds_that_cannot_be_set_back_give_one_clear_line(tokenizer: Any) -> None:
    for settings, message in (
        ({"search": "bean"}, "did you mean 'beam'"),
        ({"width": 0}, "width=0: expected 1 or more"),
        ({"budget": 0}, "budget=0: expected 1 or more"),
        ({"budget_steps": 0}, "budget_steps=0: expected 1 or more"),
    ):
        with pytest.raises(UsageError, match=message):
            make_agent(tokenizer, **settings)
    with pytest.raises(UsageError, match="takes a value model"):
        MessageSearchAgent(EpisodeReader(make_model("llama"), tokenizer))
    with pytest.raises(UsageError, match="snapshot and restore"):
        rollout(Babble, agent=make_agent(tokenizer), episodes=1)
