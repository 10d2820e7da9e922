"""oreo.data.selection: which episodes and pairs are learnt from, as properties over drawn buffers."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.data.selection import Episode, pairs, select
from oreo.errors import DataError, UsageError
from oreo.trajectory import Step, Trajectory

# Few games and keys, so that games have several episodes and some of them are equal.
EPISODES = st.lists(
    st.builds(lambda game, won, key: Episode(game, won, f"{key} {won}"), st.sampled_from("abc"), st.booleans(),
              st.integers(0, 4)),
    min_size=1, max_size=20,
)  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {
        "samples_per_game": st.one_of(st.none(), st.integers(2, 6)),
        "balance": st.sampled_from(["none", "game", "all"]),
        "seed": st.integers(0, 3),
    }
)


def chosen(episodes: list[Episode], **options: Any) -> list[Episode]:
    try:
        return [episodes[index] for index in select(episodes, **options)]
    except DataError:
        return []


def won_and_lost(episodes: list[Episode]) -> tuple[int, int]:
    won = sum(episode.won for episode in episodes)
    return won, len(episodes) - won


@given(EPISODES, OPTIONS, st.randoms())
def test_what_is_kept_does_not_depend_on_the_order_in_which_it_was_stored(
    episodes: list[Episode], options: dict[str, Any], random: Any
) -> None:
    shuffled = random.sample(episodes, len(episodes))
    assert chosen(episodes, **options) == chosen(shuffled, **options)


@given(EPISODES, OPTIONS)
def test_what_is_kept_is_bounded_balanced_and_no_episode_comes_twice(
    episodes: list[Episode], options: dict[str, Any]
) -> None:
    try:
        indices = select(episodes, **options)
    except DataError:
        indices = []
    assert len(set(indices)) == len(indices)
    kept = [episodes[index] for index in indices]
    most = options["samples_per_game"] or len(episodes)
    expected = 0
    for game in "abc":
        of_game, chosen = ([e for e in group if e.game == game] for group in (episodes, kept))
        assert len(chosen) <= most
        won, lost = won_and_lost(chosen)
        if options["balance"] == "game":
            assert won == lost == min(*won_and_lost(of_game), most // 2)
        elif options["balance"] == "none":
            expected += min(len(of_game), most)
    if options["balance"] == "none":
        assert len(kept) == expected
    elif options["balance"] == "all":
        assert len(set(won_and_lost(kept))) == 1
        if options["samples_per_game"] is None:
            assert len(kept) == 2 * min(won_and_lost(episodes))


@given(EPISODES, st.integers(1, 5), st.integers(0, 3))
def test_keeping_one_more_of_each_game_keeps_all_the_others(episodes: list[Episode], most: int, seed: int) -> None:
    fewer = select(episodes, seed=seed, samples_per_game=most)
    assert set(fewer) <= set(select(episodes, seed=seed, samples_per_game=most + 1))


@given(EPISODES, EPISODES, st.integers(0, 3))
def test_what_is_kept_of_a_game_does_not_depend_on_other_games(
    episodes: list[Episode], others: list[Episode], seed: int
) -> None:
    others = [dataclasses.replace(episode, game="z") for episode in others]
    together = chosen(episodes + others, seed=seed, samples_per_game=2)
    assert [episode for episode in together if episode.game != "z"] == chosen(episodes, seed=seed, samples_per_game=2)


@given(EPISODES, st.integers(1, 5), st.integers(0, 3), st.randoms())
def test_pairs_are_of_one_game_bounded_without_replacement_and_independent_of_order(
    episodes: list[Episode], most: int, seed: int, random: Any
) -> None:
    possible = collections.Counter[str]()
    for game in "abc":
        won, lost = won_and_lost(list({episode for episode in episodes if episode.game == game}))
        possible[game] = won * lost
    if not possible.total():
        with pytest.raises(DataError, match="no game has both a won and a lost episode"):
            pairs(episodes, seed=seed, pairs_per_game=most)
        return
    drawn = pairs(episodes, seed=seed, pairs_per_game=most)
    assert len({(episodes[w], episodes[x]) for w, x in drawn}) == len(drawn)
    counts = collections.Counter(episodes[won].game for won, _ in drawn)
    assert all(episodes[w].won and not episodes[x].won and episodes[w].game == episodes[x].game for w, x in drawn)
    assert all(counts[game] == min(most, possible[game]) for game in "abc")
    shuffled = random.sample(episodes, len(episodes))
    again = [(shuffled[w], shuffled[x]) for w, x in pairs(shuffled, seed=seed, pairs_per_game=most)]
    assert again == [(episodes[w], episodes[x]) for w, x in drawn]


@given(EPISODES, st.integers(1, 5), st.integers(0, 3), st.randoms())
def test_an_episode_that_is_there_again_changes_no_pair(
    episodes: list[Episode], most: int, seed: int, random: Any
) -> None:
    def pairs_of(among: list[Episode]) -> list[tuple[Episode, Episode]]:
        try:
            return [(among[w], among[x]) for w, x in pairs(among, seed=seed, pairs_per_game=most)]
        except DataError:
            return []

    once = list(dict.fromkeys(episodes))
    assert pairs_of(episodes + random.choices(episodes, k=5)) == pairs_of(once)


def test_three_equal_won_and_two_equal_lost_episodes_make_one_pair() -> None:
    episodes = [Episode("a", won, f"{won}") for won in (True, False, True, True, False)]
    assert pairs(episodes, seed=0, pairs_per_game=5) == [(0, 1)]


def test_pairs_of_different_episodes_are_drawn_as_they_always_were() -> None:
    episodes = [Episode("ab"[index % 3 == 0], index % 2 == 0, str(index)) for index in range(12)]
    assert pairs(episodes, seed=0, pairs_per_game=3) == [(2, 1), (2, 11), (4, 11), (6, 9), (0, 3), (6, 3)]
    assert pairs(episodes, seed=1, pairs_per_game=3) == [(2, 11), (4, 1), (10, 7), (0, 3), (0, 9), (6, 3)]


def test_another_seed_draws_others_and_every_episode_has_the_same_chance() -> None:
    episodes = [Episode("a", index % 2 == 0, "same" if index < 4 else str(index)) for index in range(8)]
    counts = collections.Counter(
        episodes[i].key for seed in range(2000) for i in select(episodes, seed=seed, samples_per_game=2)
    )
    # 500 expected for each of eight; the four equal ones have four chances. 5 standard deviations are 97 and 158.
    assert counts["same"] == pytest.approx(2000, abs=160)
    assert all(counts[str(index)] == pytest.approx(500, abs=100) for index in range(4, 8))
    drawn = {tuple(pairs(episodes, seed=seed, pairs_per_game=3)) for seed in range(20)}
    assert len(drawn) > 10


def test_episodes_are_of_one_game_by_name_then_task_then_seed() -> None:
    def episode(**fields: Any) -> Episode:
        return Episode.of(Trajectory("env", (Step("o", "a"),), "", True, False, True, **fields))

    assert episode(game="g", task="t", seed=1).game == episode(game="g", task="u", seed=2).game
    assert episode(task="t", seed=1).game == episode(task="t", seed=2).game != episode(task="u").game
    assert episode(seed=1).game == episode(seed=1).game != episode(seed=2).game
    assert episode(game="g", agent="x", created="now").key == episode(game="g").key


def test_nothing_left_is_one_clear_line() -> None:
    won = [Episode(str(game), True, "") for game in range(3)]
    for balance in ("game", "all"):
        with pytest.raises(DataError, match=r"among 3 episodes \(3 won\)"):
            select(won, seed=0, balance=balance)
    with pytest.raises(UsageError, match="samples_per_game is 1"):
        select(won, seed=0, balance="game", samples_per_game=1)
