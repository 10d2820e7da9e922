"""Reading an episode in the terminal program, key by key."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from helpers.commands import GUESS
from helpers.pilot import shown, text_of, until
from helpers.stored_episodes import KITCHEN, LOST
from oreo.cli.screens import stored_job
from oreo.data.buffer import TrajectoryBuffer
from oreo.eval.terminal.app.live_episode import LiveEpisode
from oreo.eval.terminal.app.reader_screen import ReaderScreen, stored_episode
from oreo.eval.terminal.live.messages import Job
from oreo.eval.terminal.shelf import of_view, pairs
from oreo.rollouts.loop import rollout
from oreo.rollouts.verify import Verifier

NOBODY = stored_job(None, None, {}, None)


def reader(**settings: object) -> ReaderScreen:
    return ReaderScreen([stored_episode(KITCHEN, job=NOBODY)], **settings)  # type: ignore[arg-type]


def position(screen: ReaderScreen) -> int:
    reading = screen.episodes[0].reading
    assert reading is not None
    return reading.position


def test_the_whole_screen_at_a_step(watched) -> None:
    async def script(pilot: Pilot) -> None:
        await pilot.press("right")
        assert shown(pilot) == [
            " cool some tomato.",
            " oreo/ALFWorld-v0 · pick_cool_then_place_in_recep · generated/0/7/put-8-14 · b…",
            " You see a fridge 1, and a countertop 1.",
            " Your task is to: cool some tomato.",
            "▌  1 ▲0.25  > go to countertop 1",
            "▌    On the countertop 1, you see a tomato 1.",
            "   2 ▼0.38  ✗ tkae tomato 1  refused",
            "     Nothing happens.",
            "   3 ▲0.62  > take tomato 1",
            "     You pick up the tomato 1.",
            "            Thought: again.",
            "            Action: cool tomato 1",
            "   4 ▲0.12  > cool tomato 1",
            "     You cool the tomato 1.",
            "   5 ▲0.12  > put tomato 1  reward +1",
            "     You put the tomato 1.",
            "─considered at step 1───────────────────────────────────────────────────────────",
            "▸✓ V 0.50 lp -0.25 ×4  go to countertop 1",
            " ✗ V 0.12 lp -1.50     open fridge 2",
            "─value of each state  V 0.25  advantage of step 1 +0.25─────────────────────────",
            "   0.88          ▄▄▄███",
            "           ▅▅▅   ██████",
            "   0.12 ▅▅▅███▁▁▁██████",
            "        ▲",
            " step 1 of 5  ✓ won, return 1",
            " ■ paused",
            "space pause / search v fall r refusal n lost t tokens w world a act u agent e ex",
        ]

    watched(reader(), script, (80, 27))


def test_keys_move_and_stop_at_both_ends(watched) -> None:
    screen = reader()

    async def script(pilot: Pilot) -> None:
        for key, expected in (
            ("left", 0), ("right", 1), ("right", 2), ("left", 1), ("end", 5), ("right", 5), ("home", 0),
            ("v", 2), ("v", 2), ("home", 0), ("r", 2), ("r", 2),
        ):  # fmt: skip
            await pilot.press(key)
            assert position(screen) == expected, key

    watched(screen, script)


def test_it_runs_on_by_itself_faster_and_slower_and_a_pause_can_be_seen(watched) -> None:
    screen = reader(playing=True, delay=0.5)

    async def script(pilot: Pilot) -> None:
        assert "▶ a step every 0.5 s" in text_of(pilot)
        await pilot.press("space")
        assert "■ paused" in text_of(pilot)
        await pilot.press("minus", *["plus"] * 7)
        assert screen.delay == 1 / 64
        await pilot.press("space")
        await until(pilot, lambda: position(screen) == 5 and not screen.playing)
        assert "■ paused" in text_of(pilot) and "You put the tomato 1." in text_of(pilot)
        await pilot.press("space")  # from the beginning again
        await until(pilot, lambda: position(screen) == 5 and not screen.playing)

    watched(screen, script)


def test_search_goes_from_hit_to_hit_and_says_how_many(watched) -> None:
    screen = reader()

    async def script(pilot: Pilot) -> None:
        await pilot.press("slash", *"tomato 1")
        assert "1 of 9" in text_of(pilot) and position(screen) == 1
        await pilot.press("enter", "down")
        assert "3 of 9" in text_of(pilot) and position(screen) == 3
        await pilot.press("up", "up", "up")
        assert "9 of 9" in text_of(pilot) and position(screen) == 5
        await pilot.press(*"xyz")
        assert "nothing" in text_of(pilot)
        await pilot.press("escape", "right", "home")
        assert position(screen) == 0 and not screen.search.display

    watched(screen, script)


@pytest.mark.parametrize("size", [(200, 60), (40, 12), (3, 3)])
def test_any_size_shows_the_step_and_every_key_works_in_it(size: tuple[int, int], watched) -> None:
    screen = reader()
    keys = "right t w slash x escape question_mark escape l escape a escape t w home".split()

    async def script(pilot: Pilot) -> None:
        await pilot.press(*keys)
        await pilot.resize_terminal(size[1] + 60, size[0] + 5)
        await pilot.resize_terminal(*size)
        await pilot.press("right", "right")
        assert position(screen) == 2
        if size[0] >= 40:
            assert "step 2 of 5" in text_of(pilot)

    watched(screen, script, size)


def test_the_width_is_used_and_candidates_stand_beside_their_values(watched) -> None:
    async def script(pilot: Pilot) -> None:
        await pilot.press("right")
        line = next(line for line in shown(pilot) if "▸" in line)
        assert line.split("▸")[1] == "✓ V 0.50 lp -0.25 ×4  go to countertop 1"
        assert line.index("▸") > 100  # beside the transcript

    watched(reader(), script, (200, 60))


def test_lost_episodes_are_gone_to_by_n_and_all_by_brackets(tmp_path: Path, watched) -> None:
    buffer = TrajectoryBuffer(tmp_path)
    buffer.extend([KITCHEN, LOST, KITCHEN, LOST])
    shelf = of_view(buffer.where(""))
    screen = reader(shelf=shelf)

    async def script(pilot: Pilot) -> None:
        places = []
        for key in ("n", "n", "n", "N", "left_square_bracket", "right_square_bracket"):
            await pilot.press(key)
            places.append(screen.place)
        assert places == [1, 3, 3, 1, 0, 1]
        assert "find a pen." in text_of(pilot) and "✗ out of steps" in text_of(pilot)

    watched(screen, script)


def test_the_step_is_copied_as_clean_text(watched, monkeypatch: pytest.MonkeyPatch) -> None:
    episode = replace(KITCHEN, final_observation="You put \x1b]52;c;AAAA\x07it.")
    screen = ReaderScreen([stored_episode(episode, job=NOBODY)])

    async def script(pilot: Pilot) -> None:
        await pilot.press("end", "c")
        assert pilot.app.clipboard == "  5 > put tomato 1   (reward +1, V 0.88)\n    You put it."

    watched(screen, script)


def test_an_episode_is_written_to_a_file_in_three_formats(tmp_path: Path, watched, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def script(pilot: Pilot) -> None:
        await pilot.press("e", "enter", "e", "tab", "enter", "e", "tab", "tab", "enter")

    watched(reader(), script)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["episode.json", "episode.svg", "episode.txt"]


def test_two_episodes_go_in_step_and_the_shorter_one_waits(watched) -> None:
    screen = ReaderScreen([stored_episode(KITCHEN, job=NOBODY), stored_episode(LOST, job=NOBODY)])

    async def script(pilot: Pilot) -> None:
        await pilot.press("right", "right", "right")
        assert [episode.reading.position for episode in screen.episodes if episode.reading] == [3, 2]
        assert "step 3 of 5" in text_of(pilot) and "step 2 of 2" in text_of(pilot)
        await pilot.press("left")
        assert [episode.reading.position for episode in screen.episodes if episode.reading] == [2, 2]

    for size in ((120, 30), (80, 24)):
        screen = ReaderScreen([stored_episode(KITCHEN, job=NOBODY), stored_episode(LOST, job=NOBODY)])
        watched(screen, script, size)


def test_of_two_buffers_n_goes_to_the_games_that_one_won_and_the_other_lost(tmp_path: Path, watched) -> None:
    one, other = TrajectoryBuffer(tmp_path / "one"), TrajectoryBuffer(tmp_path / "other")
    games = [replace(KITCHEN, game=f"game {number}", task=f"task {number}") for number in range(4)]
    one.extend(games)
    other.extend([replace(game, won=at % 2 == 0, agent="other") for at, game in enumerate(reversed(games))])
    shelf = pairs(one.where("steps > 1"), other)
    assert shelf.numbers == [(0, 3), (1, 2), (2, 1), (3, 0)] and shelf.marked == [True, False, True, False]
    screen = ReaderScreen([stored_episode(episode, job=NOBODY) for episode in shelf.trajectories(0)], shelf=shelf)

    async def script(pilot: Pilot) -> None:
        await pilot.press("n")
        assert screen.place == 2 and text_of(pilot).count("task 2") == 2
        assert "✓ won" in text_of(pilot) and "✗ lost" in text_of(pilot)
        await pilot.press("right_square_bracket")
        assert screen.place == 3

    watched(screen, script, (140, 30))


# The process that acts.


def test_the_world_of_a_stored_episode_is_played_again_and_what_changed_is_marked(watched) -> None:
    (episode,) = rollout("oreo/ALFWorld-v0", agent="expert", episodes=1, seed=4)
    screen = ReaderScreen([stored_episode(episode, job=NOBODY)])
    take = next(place for place, step in enumerate(episode.steps, 1) if step.action.startswith("take"))

    async def script(pilot: Pilot) -> None:
        await pilot.press("w")
        await until(pilot, lambda: "holding: nothing" in text_of(pilot))
        await pilot.press(*["right"] * take)
        assert "* holding: " in text_of(pilot) and "holding: nothing" not in text_of(pilot)

    watched(screen, script, (120, 40))


def test_an_environment_that_some_data_names_is_not_run_before_somebody_says_so(watched, tmp_path: Path) -> None:
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    screen = ReaderScreen([stored_episode(replace(KITCHEN, env_id=f"{trap}:World"), job=NOBODY)])

    async def script(pilot: Pilot) -> None:
        await pilot.press("a")
        assert "say --env" in text_of(pilot).replace("\n", " ")
        await pilot.press("u", "w")
        await pilot.pause(0.2)

    watched(screen, script, (120, 30))
    assert not (tmp_path / "ran").exists()


def live(job: Job, **settings: object) -> ReaderScreen:
    return ReaderScreen([LiveEpisode(job=lambda _: job)], **settings)  # type: ignore[arg-type]


def test_a_live_agent_is_seen_step_by_step_as_it_plays(watched) -> None:
    (expected,) = rollout(GUESS, agent="expert", episodes=1, seed=5)
    screen = live(Job(GUESS, agent="expert", seed=5), playing=True, delay=0.01)

    async def script(pilot: Pilot) -> None:
        await until(pilot, lambda: screen.episodes[0].is_over)
        assert "✓ won" in text_of(pilot)
        reading = screen.episodes[0].reading
        assert reading is not None and reading.view.steps == expected.steps
        await pilot.press("right_square_bracket")  # the next game of the seed
        await until(pilot, lambda: screen.episodes[0].reading is not None)
        assert not screen.episodes[0].is_over

    watched(screen, script)


def test_a_person_corrects_an_agent_at_a_step_lets_it_go_on_and_the_episode_is_stored(watched, tmp_path: Path) -> None:
    (lost,) = rollout(GUESS, agent="random", episodes=1, seed=2)
    assert not lost.won
    job = stored_job(GUESS, "expert", {}, tmp_path / "corrected")
    screen = ReaderScreen([stored_episode(lost, job=job)], delay=0.01)

    async def script(pilot: Pilot) -> None:
        await pilot.press("right", "right", "right", "a", *"50", "enter")
        await until(pilot, lambda: position(screen) == 4)
        assert "50  by a person" in text_of(pilot)
        await pilot.press("u")
        await until(pilot, lambda: screen.episodes[0].is_over)
        assert "✓ won" in text_of(pilot)

    watched(screen, script, (120, 30))
    (stored,) = TrajectoryBuffer(tmp_path / "corrected", create=False)
    assert stored.won and stored.steps[:3] == tuple(replace(step, actor="agent") for step in lost.steps[:3])
    assert [step.actor for step in stored.steps[:5]] == ["agent"] * 3 + ["person", "agent"]
    assert stored.agent == "random, then expert with a person"
    with Verifier(env=GUESS) as verifier:
        assert verifier.verify(stored)[0].reproduces
    assert len(TrajectoryBuffer(tmp_path / "corrected", create=False).where("person_turns == 1")) == 1


def test_a_person_plays_with_completion_and_history(watched, tmp_path: Path) -> None:
    job = Job("oreo/ALFWorld-v0", {"split": "generated"}, seed=4, max_steps=3, record=str(tmp_path / "mine"))
    screen = live(job, person=True)

    async def script(pilot: Pilot) -> None:
        await until(pilot, lambda: screen.act_bar.display)
        await pilot.press(*"go to", "tab")
        assert screen.act_bar.input.value.startswith("go to ")
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.act_bar.display and position(screen) == 1)
        await pilot.press("up", "enter")  # what was done before
        await until(pilot, lambda: screen.act_bar.display and position(screen) == 2)
        await pilot.press(*"look", "enter")
        await until(pilot, lambda: screen.episodes[0].is_over)
        assert not screen.act_bar.display and "✗ out of steps" in text_of(pilot)

    watched(screen, script)
    (stored,) = TrajectoryBuffer(tmp_path / "mine", create=False)
    assert stored.agent == "person" and len(stored) == 3 and stored.truncated
    assert stored.steps[0].action == stored.steps[1].action and stored.steps[2].action == "look"


def test_a_process_that_is_killed_is_told_and_the_episode_is_gone_on_from_in_another(watched) -> None:
    screen = live(Job(GUESS, agent="expert", seed=5))

    async def script(pilot: Pilot) -> None:
        await until(pilot, lambda: screen.episodes[0].reading is not None)
        await pilot.press("right")
        await until(pilot, lambda: position(screen) == 1)
        link = screen.episodes[0]._link
        assert link is not None
        os.kill(link.pid, signal.SIGKILL)
        await until(pilot, lambda: screen.episodes[0].failure is not None)
        assert "SIGKILL" in text_of(pilot)
        await pilot.press("right")
        await until(pilot, lambda: position(screen) == 2)

    watched(screen, script, (100, 30))


def test_what_cannot_be_made_ends_the_program_with_its_one_line(watched) -> None:
    async def script(pilot: Pilot) -> None:
        await until(pilot, lambda: pilot.app.return_value is not None)

    program = watched(live(Job(GUESS, agent="no/such/model")), script)
    message, code = program.return_value
    assert code == 1 and "no/such/model" in message


def test_ctrl_c_and_q_leave_and_the_process_is_gone(watched) -> None:
    for key in ("ctrl+c", "q"):
        screen = live(Job(GUESS, agent="expert", seed=5))
        pids = []

        async def script(pilot: Pilot, screen: ReaderScreen = screen, key: str = key, pids: list = pids) -> None:
            await until(pilot, lambda: screen.episodes[0].reading is not None)
            link = screen.episodes[0]._link
            assert link is not None
            pids.append(link.pid)
            await pilot.press(key)

        program = watched(screen, script)
        assert program.interrupted == (key == "ctrl+c")
        with pytest.raises(ProcessLookupError):
            os.kill(pids[0], 0)
