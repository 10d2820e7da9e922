"""What the cache remembers and what re-reading everything gives are the same, whoever shares the batch."""

from __future__ import annotations

import inspect
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from helpers.word_models import ARCHITECTURES, Babble, Lines, make_model
from oreo.agents.agent import Decision, Episode
from oreo.agents.best_of_k import BestOfKAgent
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.ragged_cache import RaggedCache, rearranged
from oreo.agents.reading import EpisodeReader, Reading
from oreo.agents.sampling import TurnSampler
from oreo.encoding.turn_format import TurnFormat, tail
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Trajectory


def reread(model: Any, ids: list[int]) -> torch.Tensor:
    """Outputs [T, V] of one sequence: no cache, no batch, no attention of ours."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def check_against_rereading(
    model: Any, tokenizer: Any, trajectory: Trajectory, temperature: float, tolerance: float = 2e-4
) -> None:
    """Each turn's log-probability is that of its tokens in one plain pass over the episode, or a piece of it."""
    turn_format = TurnFormat.from_tokenizer(tokenizer)
    found = []
    for encoded in turn_format.split(trajectory, None):
        logits = reread(model, encoded.input_ids.tolist())
        found += [
            ((logits / (temperature or 1.0)).log_softmax(-1), start) for start in np.flatnonzero(encoded.step_start)
        ]
    before = [*zip(trajectory.steps, trajectory.steps[1:], strict=False)]
    behind = ["", *(tail(step, after.observation) for step, after in before)]
    for step, end, (log_probs, start) in zip(trajectory.steps, behind, found, strict=True):
        ids = turn_format.turn(step.text, continues_message=step.continues_message, preceding=end)
        if len(ids) > MAX_NEW_TOKENS:
            ids = ids[:-1]  # cut off: its end was not sampled
        rows = range(start - 1, start - 1 + len(ids))
        expected = sum(float(log_probs[row, token]) for row, token in zip(rows, ids, strict=True))
        assert step.log_prob == pytest.approx(expected, abs=tolerance)
        if temperature == 0:
            assert [int(log_probs[row].argmax()) for row in rows] == ids


MAX_NEW_TOKENS = 6


def agent_of(architecture: str, tokenizer: Any, **settings: Any) -> LanguageModelAgent:
    reader = EpisodeReader(make_model(architecture), tokenizer, **{"max_new_tokens": MAX_NEW_TOKENS} | settings)
    return LanguageModelAgent(reader)


@pytest.mark.parametrize("temperature", [1.0, 0.0, 0.7])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_cached_turns_have_the_log_probabilities_of_a_plain_pass(
    architecture: str, temperature: float, tokenizer: Any
) -> None:
    agent = agent_of(architecture, tokenizer, temperature=temperature)
    played = rollout(Babble, agent=agent, episodes=6, batch_size=3)
    assert len({len(each) for each in played}) > 2, "episodes are to leave and enter at different times"
    for trajectory in played:
        check_against_rereading(agent.reader.policy.model, tokenizer, trajectory, temperature)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_an_episode_does_not_depend_on_the_batch_it_is_in(architecture: str, tokenizer: Any) -> None:
    played = [
        rollout(Babble, agent=agent_of(architecture, tokenizer), episodes=6, batch_size=batch_size, seed=3)
        for batch_size in (1, 4, 6)
    ]
    for alone, four, six in zip(*played, strict=True):
        assert [step.text for step in alone.steps] == [step.text for step in four.steps]
        assert [step.text for step in alone.steps] == [step.text for step in six.steps]
        for one, other in zip(alone.steps, six.steps, strict=True):
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)


def test_the_attention_for_accelerators_agrees_with_the_one_for_processors(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logits() -> torch.Tensor:
        cache = RaggedCache(make_model("gemma2"))
        cache.retain([1, 2, 3])
        rng = np.random.default_rng(0)
        histories = [rng.integers(5, 60, size).tolist() for size in (3, 20, 11)]
        first = cache.read(histories)
        grown = cache.extend([7, 8, 10, 11], [0, 0, 1, 2])
        return torch.cat([first, grown])

    import oreo.agents.packed_attention as module

    with torch.inference_mode():
        by_row = logits()
        monkeypatch.setattr(module, "_ROW_BY_ROW", ())
        padded = logits()
    assert torch.allclose(by_row, padded, atol=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_continuations_that_begin_alike_are_read_once_and_give_what_a_plain_pass_gives(architecture: str) -> None:
    model = make_model(architecture)
    histories = [[5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15, 16], [17, 18]]
    # After each row and each output so far: 1 continuation, then 2 of one row, then 3 that part late, and one ends.
    levels = [
        ([20, 21, 22, 23], [0, 1, 1, 2]),
        ([30, 31, 32, 33], [0, 1, 2, 3]),
        ([40, 41, 42, 43, 44], [1, 1, 2, 3, 3]),
    ]
    said = [list(history) for history in histories]
    with torch.inference_mode():
        cache = RaggedCache(model)
        cache.retain([1, 2, 3])
        cache.read(histories)
        for tokens, parents in levels:
            said = [[*said[parent], token] for token, parent in zip(tokens, parents, strict=True)]
            for ids, output in zip(said, cache.extend(tokens, parents), strict=True):
                assert torch.allclose(output.float(), reread(model, ids)[-1], atol=1e-4)
        kept = [[20, 30], [22, 32, 42], [23, 33, 44]]
        cache.commit(kept)
        longer = [[*history, *ids, 50, 51] for history, ids in zip(histories, kept, strict=True)]
        for ids, output in zip(longer, cache.read(longer), strict=True):
            assert torch.allclose(output.float(), reread(model, ids)[-1], atol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_the_policy_reads_each_beginning_of_the_sampled_turns_once(
    temperature: float, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    extend, sample = RaggedCache.extend, TurnSampler.sample

    def counted(cache: RaggedCache, tokens: Any, parents: Any) -> torch.Tensor:
        read[-1] += len(tokens)
        return extend(cache, tokens, parents)

    def checked(sampler: TurnSampler, *args: Any) -> Any:
        read.append(0)
        turns = sample(sampler, *args)
        # A turn that ended has been read to its last token, one that was cut off to the last but one.
        beginnings = [{tuple(turn.ids[:end]) for turn in row for end in range(1, turn.read + 1)} for row in turns]
        assert read[-1] == sum(map(len, beginnings))
        several.append(read[-1] < sum(turn.read for row in turns for turn in row))
        return turns

    several: list[bool] = []
    value = make_model("llama", seed=1, value=True)
    reader = EpisodeReader(make_model("llama"), tokenizer, value=value, max_new_tokens=6, temperature=temperature)
    agent = BestOfKAgent(reader, k=4)
    monkeypatch.setattr(RaggedCache, "extend", counted)
    monkeypatch.setattr(TurnSampler, "sample", checked)
    rollout(Babble, agent=agent, episodes=4, batch_size=3)
    assert any(several)


def test_rows_that_stay_keep_their_place_where_they_can() -> None:
    assert rearranged([1, 2, 3, 4, 5], [2, 5, 4, 9, 8]) == ([5, 2, 4, 9, 8], [4, 1, 3])
    assert rearranged([1, 2, 3], [1, 2, 3]) == ([1, 2, 3], [0, 1, 2])
    assert rearranged([1, 2], []) == ([], [])
    assert rearranged([], [7]) == ([7], [])


def test_a_row_is_cut_back_to_what_a_new_history_shares_with_the_old_one() -> None:
    model = make_model("llama")
    with torch.inference_mode():
        cache = RaggedCache(model)
        cache.retain([7])
        cache.read([[5, 6, 7, 8, 9]])
        again = cache.read([[5, 6, 10, 11]])
    assert torch.allclose(again[0], reread(model, [5, 6, 10, 11])[-1], atol=1e-4)


@pytest.mark.parametrize("best_of", [1, 3])
def test_a_model_with_ways_of_its_own_is_read_again_and_gives_the_same(best_of: int, tokenizer: Any) -> None:
    from oreo.agents.rereading import Rereading

    def play(**changes: Any) -> Any:
        policy, value = make_model("llama"), make_model("llama", seed=1, value=True)
        for model in (policy, value):
            if changes:  # as a model does that computes its attention by itself
                model.forward = partial(without_positions, model.forward)
        agent = BestOfKAgent(EpisodeReader(policy, tokenizer, value=value, max_new_tokens=4), k=best_of)
        return agent, rollout(Babble, agent=agent, episodes=4, batch_size=2)

    with pytest.warns(UserWarning, match="cannot be run with our key-value cache"):
        slow, reread_ones = play(changed=True)
    assert isinstance(slow.reader.policy, Rereading)
    _, cached_ones = play()
    for one, other in zip(reread_ones, cached_ones, strict=True):
        assert [step.text for step in one.steps] == [step.text for step in other.steps]
        assert [step.value for step in one.steps] == pytest.approx([step.value for step in other.steps], abs=1e-4)


@pytest.mark.parametrize("architecture", ["qwen2_moe", "llama4_text"])
def test_windows_that_only_a_mask_knows_of_are_not_cached_wrongly(architecture: str, tokenizer: Any) -> None:
    from oreo.agents.rereading import Rereading

    windows = {"sliding_window": 7, "use_sliding_window": True, "max_window_layers": 0, "attention_chunk_size": 7}
    experts = {"num_experts": 2, "num_local_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16}
    shape = {
        "num_key_value_heads": 2,
        "head_dim": 8,
        "shared_expert_intermediate_size": 16,
        "intermediate_size_mlp": 32,
    }
    with pytest.warns(UserWarning, match="cannot be run with our key-value cache"):
        agent = EpisodeReader(
            make_model(architecture, **windows, **experts, **shape), tokenizer, temperature=0.0, max_new_tokens=4
        )
    assert isinstance(agent.policy, Rereading)


def test_where_frequencies_change_with_the_length_the_context_ends_before(tokenizer: Any) -> None:
    half = [1.0] * 4
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": half, "long_factor": [4.0] * 4}
    model = make_model(
        "phi3", rope_parameters=rope | {"original_max_position_embeddings": 64}, original_max_position_embeddings=64
    )
    agent = LanguageModelAgent(EpisodeReader(model, tokenizer, temperature=0.0, max_new_tokens=MAX_NEW_TOKENS))
    assert agent.reader.contexts.room == 64 - MAX_NEW_TOKENS - 1
    with pytest.warns(UserWarning, match="longer than a context of 64 tokens"):
        played = rollout(Endless, agent=agent, episodes=2, max_steps=12)
    for trajectory in played:
        check_against_rereading(model, tokenizer, trajectory, 0.0)


def without_positions(forward: Any, input_ids: torch.Tensor, use_cache: bool = False, **ignored: Any) -> Any:
    return forward(input_ids=input_ids, use_cache=False)


def test_the_model_keeps_its_own_attention(tokenizer: Any) -> None:
    agent = agent_of("llama", tokenizer)
    before = agent.reader.policy.model.config._attn_implementation
    rollout(Babble, agent=agent, episodes=1)
    assert agent.reader.policy.model.config._attn_implementation == before


def test_the_value_of_each_state_is_that_of_a_plain_pass(tokenizer: Any) -> None:
    value = make_model("qwen2", seed=1, value=True)
    agent = agent_of("qwen2", tokenizer, value=value)
    for trajectory in rollout(Babble, agent=agent, episodes=5, batch_size=3):
        encoded = TurnFormat.from_tokenizer(tokenizer).encode(trajectory)
        values = reread(value, encoded.input_ids.tolist())[:, 0]
        for step, start in zip(trajectory.steps, np.flatnonzero(encoded.step_start), strict=True):
            assert step.value == pytest.approx(float(values[start - 1]), abs=1e-4)


class Replaced:
    """Says something else now and then than its language model wanted."""

    name, checkpoint = "replaced", ""

    def __init__(self, agent: LanguageModelAgent) -> None:
        self.agent = agent

    def act(self, episodes: Any) -> list[Decision]:
        decisions = self.agent.act(episodes)
        return [
            Decision("w5 w6 w7", imitate=False) if len(episode.steps) % 3 == 1 else decision
            for episode, decision in zip(episodes, decisions, strict=True)
        ]


def test_the_model_is_told_what_was_done_and_not_what_it_meant_to_do(tokenizer: Any) -> None:
    agent = agent_of("llama", tokenizer)
    for trajectory in rollout(Babble, agent=Replaced(agent), episodes=4, batch_size=2):
        spoken = [step for step in trajectory.steps if step.log_prob is not None]
        assert len(spoken) < len(trajectory) or len(trajectory) < 2
        encoded = TurnFormat.from_tokenizer(tokenizer).encode(trajectory)
        log_probs = reread(agent.reader.policy.model, encoded.input_ids.tolist()).log_softmax(-1)
        for step, start in zip(trajectory.steps, np.flatnonzero(encoded.step_start), strict=True):
            if step.log_prob is not None:
                ids = agent.reader.contexts.format.turn(step.text)[:MAX_NEW_TOKENS]
                expected = sum(float(log_probs[start - 1 + at, token]) for at, token in enumerate(ids))
                assert step.log_prob == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.0])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral"])
def test_a_message_in_several_turns_is_read_as_training_reads_it(
    architecture: str, temperature: float, tokenizer: Any
) -> None:
    agent = agent_of(architecture, tokenizer, temperature=temperature)
    played = rollout(Lines, agent=agent, episodes=12, batch_size=5)
    steps = [step for each in played for step in each.steps]
    assert {step.continues_message for step in steps} == {False, True}
    for step in steps:
        marks = [mark for mark in Lines.stop if mark in step.text]
        assert step.continues_message == bool(marks) and all(step.text.endswith(mark) for mark in marks)
    for trajectory in played:
        check_against_rereading(agent.reader.policy.model, tokenizer, trajectory, temperature)


class Sentences(Lines):
    """A turn ends before a blank, which is seen when the next word is there."""

    stop = ("w12 ", "w25 ", "w31 ", "w44 ", "w50 ", "w58 ", "w7 ", "w9 ")


def test_what_was_drawn_beyond_the_end_of_a_turn_is_drawn_again_and_not_counted(tokenizer: Any) -> None:
    agent = agent_of("llama", tokenizer)
    played = rollout(Sentences, agent=agent, episodes=12, batch_size=5)
    on = [step for each in played for step in each.steps if step.continues_message]
    assert on and not any(mark in step.text for step in on for mark in Sentences.stop)
    for trajectory in played:
        encoded = agent.reader.contexts.format.encode(trajectory)
        log_probs = reread(agent.reader.policy.model, encoded.input_ids.tolist()).log_softmax(-1)
        turn_of = np.cumsum(encoded.step_start) * encoded.action_mask
        for index, step in enumerate(trajectory.steps):
            places = np.flatnonzero(turn_of == index + 1)[:MAX_NEW_TOKENS]
            expected = sum(float(log_probs[at - 1, encoded.input_ids[at]]) for at in places)
            # Whether a message ended behind such a word or went on cannot be told.
            ended = expected + float(log_probs[places[-1], agent.reader.contexts.format.end]) * step.continues_message
            assert step.log_prob in (pytest.approx(expected, abs=2e-4), pytest.approx(ended, abs=2e-4))


class Recorded(LanguageModelAgent):
    """Remembers what its models were told."""

    def __init__(self, reader: EpisodeReader) -> None:
        super().__init__(reader)
        self.told: dict[tuple[int, int], list[int]] = {}

    def choose(self, reading: Reading) -> list[Decision]:
        for episode, context in zip(reading.episodes, reading.contexts, strict=True):
            self.told[int(episode.info["seed"]), len(episode.steps)] = list(context.ids)
        return super().choose(reading)


class Endless(Babble):
    """Never ends before its last step."""

    max_steps = 50

    def start(self, rng: np.random.Generator) -> str:
        self.seed = int(rng.integers(1 << 30))
        return super().start(rng)

    def act(self, text: str) -> tuple[str, float, bool]:
        return self._words(1, 12), 0.0, False

    def info(self) -> dict[str, Any]:
        return {"seed": self.seed, "task": str(self.seed)}


@pytest.mark.parametrize("setting", [{}, {"context": 96}])
def test_training_shows_what_acting_was_told_when_an_episode_outgrew_the_context(
    setting: dict[str, Any], tokenizer: Any
) -> None:
    positions = 2048 if setting else 96
    agent = Recorded(EpisodeReader(make_model("gpt2", n_positions=positions), tokenizer, max_new_tokens=6, **setting))
    with pytest.warns(UserWarning, match="longer than a context of 96 tokens: its oldest turns leave"):
        played = rollout(Endless, agent=agent, episodes=3)
    for trajectory in played:
        starts = [step.context_start for step in trajectory.steps]
        assert starts == sorted(starts) and starts[0] == 0 and len(set(starts)) > 5
        assert max(at - start for at, start in enumerate(starts)) > 2, "more of the past stays than the present"
        pieces = agent.reader.contexts.format.split(trajectory, None)
        assert len(pieces) == len(set(starts)) and max(map(len, pieces)) <= 96
        shown = [piece.input_ids[:start] for piece in pieces for start in np.flatnonzero(piece.step_start)]
        assert len(shown) == len(trajectory)
        for at, ids in enumerate(shown):
            assert ids.tolist() == agent.told[int(trajectory.task), at]
            assert len(ids) + 6 < 96
        check_against_rereading(agent.reader.policy.model, tokenizer, trajectory, 1.0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fifty_turns_with_a_cache_are_fifty_turns_without_one(architecture: str, tokenizer: Any) -> None:
    longer = {"n_positions": 2048} if architecture == "gpt2" else {"max_position_embeddings": 2048}
    model = make_model(architecture, **longer)
    agent = LanguageModelAgent(EpisodeReader(model, tokenizer, temperature=0.0, max_new_tokens=MAX_NEW_TOKENS))
    together = rollout(Endless, agent=agent, episodes=3, batch_size=3)
    for trajectory in together:
        assert len(trajectory) == 50
        check_against_rereading(model, tokenizer, trajectory, 0.0, tolerance=1e-4)
    (alone,) = rollout(Endless, agent=agent, episodes=1)
    assert [step.text for step in alone.steps] == [step.text for step in together[0].steps]
    for one, other in zip(alone.steps, together[0].steps, strict=True):
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)


def test_an_observation_that_does_not_fit_gives_empty_turns(tokenizer: Any) -> None:
    agent = LanguageModelAgent(EpisodeReader(make_model("gpt2", n_positions=8), tokenizer, max_new_tokens=6))
    with pytest.warns(UserWarning, match="turns are empty"):
        (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    assert {step.action for step in trajectory.steps} == {""}


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"max_new_tokens": 0}, {"context": 48}]
)
def test_a_wrong_setting_is_refused(wrong: dict[str, Any], tokenizer: Any) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        EpisodeReader(make_model("llama"), tokenizer, **wrong)


def test_nothing_to_decide_is_no_decision(tokenizer: Any) -> None:
    episodes: list[Episode] = []
    assert agent_of("llama", tokenizer).act(episodes) == []


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox"])
def test_a_pass_with_a_cache_gives_no_warning(architecture: str, tokenizer: Any) -> None:
    value = make_model(architecture, seed=1, value=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="a turn was cut off")
        agent = agent_of(architecture, tokenizer, value=value, max_new_tokens=64)
        rollout(Babble, agent=agent, episodes=1, max_steps=2)


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_the_cache_is_given_by_the_name_that_the_model_has_for_it(name: str) -> None:
    """transformers calls it past_key_values before 5.24 and only cache from 5.40 on."""
    model = make_model("llama")
    forward, parameters = model.forward, inspect.signature(model.forward).parameters
    (own,) = {"cache", "past_key_values"} & set(parameters)
    expected = read_on(model)

    def renamed(**arguments: Any) -> Any:
        assert not ({"cache", "past_key_values"} - {name}) & set(arguments)
        return forward(**{own if key == name else key: value for key, value in arguments.items()})

    signature = [each.replace(name=name if key == own else key) for key, each in parameters.items()]
    renamed.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    model.forward = renamed
    assert torch.equal(read_on(model), expected)


def read_on(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        cache = RaggedCache(model)
        cache.retain([1])
        cache.read([[5, 6, 7]])
        return cache.read([[5, 6, 7, 8]])


def test_a_turn_that_the_limit_ended_is_marked_and_one_that_ended_by_itself_is_not(tokenizer: Any) -> None:
    played = rollout(Babble, agent=agent_of("llama", tokenizer), episodes=8)
    assert {step.cut for each in played for step in each.steps} == {True, False}
    for trajectory in played:
        for step in trajectory.steps:
            assert step.cut == (len(tokenizer(step.text).input_ids) == MAX_NEW_TOKENS)


@pytest.mark.parametrize("value", [False, True])
def test_a_model_whose_weights_are_not_numbers_is_refused(value: bool, tokenizer: Any) -> None:
    policy, valued = make_model("llama"), make_model("llama", seed=1, value=True)
    torch.nn.init.constant_((valued if value else policy).model.norm.weight, float("nan"))
    with pytest.raises(DataError, match="Llama.* gives outputs that are not finite numbers: its weights are damaged"):
        EpisodeReader(policy, tokenizer, value=valued)


def test_a_model_that_gives_no_numbers_later_on_is_refused_then(tokenizer: Any) -> None:
    agent = agent_of("llama", tokenizer, value=make_model("llama", seed=1, value=True))
    torch.nn.init.constant_(agent.reader.value_model().cache.model.model.norm.weight, float("nan"))
    with pytest.raises(DataError, match="the value model gives outputs that are not finite numbers"):
        rollout(Babble, agent=agent, episodes=1)
    agent = agent_of("llama", tokenizer)
    torch.nn.init.constant_(agent.reader.policy.model.model.norm.weight, float("nan"))
    for temperature in (0.0, 1.0):
        agent.reader.sampler.temperature = temperature
        with pytest.raises(DataError, match="the policy model gives outputs that are not finite numbers"):
            rollout(Babble, agent=agent, episodes=1)
