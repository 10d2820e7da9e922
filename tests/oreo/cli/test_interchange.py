"""`oreo buffer import`, `export` and `formats`, as they are typed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oreo.cli import main
from oreo.data.buffer import TrajectoryBuffer
from oreo.rollouts.loop import rollout

CONVERSATION = [{"from": "human", "value": "You see a box."}, {"from": "gpt", "value": "open box"}]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `oreo buffer …`."""
    with pytest.raises(SystemExit) as end:
        main(["buffer", *map(str, arguments)])
    return (int(end.value.code or 0), *capsys.readouterr())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "episodes.json"
    path.write_text(json.dumps([{"id": at, "conversations": CONVERSATION, "reward": at} for at in range(2)]))
    return path


def test_an_import_tells_what_it_did(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "import", file, "--into", tmp_path / "b", "--env", "tau2/box")
    assert code == 0 and "sharegpt" in out and "unmatched" not in out
    code, out, _ = run(capsys, "import", file, "--into", tmp_path / "b", "--env", "tau2/box", "--json")
    report: Any = json.loads(out)
    assert (report["episodes"], report["stored"], report["there_already"], report["won"]) == (2, 0, 2, 1)
    assert report["extra"] == {"id": 2} and report["unread"] == []
    assert {trajectory.env_id for trajectory in TrajectoryBuffer(tmp_path / "b")} == {"tau2/box"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--env", "alfwrld"], 2, "did you mean 'alfworld'"),
        (["--format", "sharegtp"], 2, "did you mean 'sharegpt'"),
        (["--format", "trl-sft"], 2, "written only"),
        (["--action-pattern", "("], 2, "no regular expression"),
        (["--format", "minari"], 1, "is not what the format minari reads"),
        (["--data", "nowhere"], 1, "nowhere"),
        ([], 1, "line 1: nothing says which environment it is from; say --env"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_stored(
    arguments: list[str], code: int, message: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, out, error = run(capsys, "import", file, "--into", tmp_path / "b", *arguments)
    assert (ended, out) == (code, "") and message in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "b").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, "import", tmp_path / "nowhere.json", "--into", tmp_path / "b")
    assert code == 2 and "nowhere.json: there is no such file" in error


def test_what_is_skipped_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    bad = {"conversations": [{"from": "\x1b[31mthem", "value": "x"}]}
    lines = [json.dumps({"conversations": CONVERSATION, "reward": 1}), "{", json.dumps(bad)]
    path.write_text("\n".join(lines))
    code, out, _ = run(capsys, "import", path, "--into", tmp_path / "b", "--env", "tau2/box", "--skip")
    assert code == 0 and "unread (2)" in out and "line 2: it is no JSON" in out
    assert "line 3: conversations[0].from is" in out and "\x1b" not in out


def test_what_goes_out_comes_in_again(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", file, "--into", tmp_path / "b", "--env", "tau2/box")
    code, out, _ = run(capsys, "export", tmp_path / "b", tmp_path / "out.json", "--format", "sharegpt", "--json")
    assert code == 0 and json.loads(out)["lost"] == {"extra.imported_from": 2}
    run(capsys, "import", tmp_path / "out.json", "--into", tmp_path / "c", "--env", "tau2/box")
    one, other = (list(TrajectoryBuffer(tmp_path / name)) for name in "bc")
    assert [trajectory.steps for trajectory in one] == [trajectory.steps for trajectory in other]
    code, _, error = run(capsys, "export", tmp_path / "b", tmp_path / "out.json", "--format", "sharegpt")
    assert code == 2 and "there already" in error


def test_the_formats_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "formats", "--json")
    listed: Any = json.loads(out)
    assert code == 0 and listed["sharegpt"]["is"] == ["read", "written"] and listed["trl-kto"]["is"] == ["written"]


def test_an_export_takes_the_episodes_that_a_condition_means(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    buffer, out = tmp_path / "b", tmp_path / "out.jsonl"
    assert run(capsys, "import", file, "--into", buffer, "--env", "tau2/box")[0] == 0
    export = ("export", buffer, out, "--format", "jsonl", "--json", "--where")
    code, told, _ = run(capsys, *export, "won")
    assert code == 0 and json.loads(told)["episodes"] == len(out.read_text().splitlines()) == 1
    out.unlink()
    code, told, _ = run(capsys, *export, "steps > 1000")
    assert code == 0 and json.loads(told)["episodes"] == 0 and out.read_text() == ""
    out.unlink()
    code, _, error = run(capsys, *export, "stepz > 0")
    assert code == 2 and "stepz" in error and not out.exists()


def test_tokens_of_the_model_that_acted_are_stored_as_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from oreo.agents.completer import load_tokenizer
    from oreo.encoding.token_digest import token_digest

    tokenizer = load_tokenizer("tiny", trust_remote_code=False)
    words = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("go", " to", " desk 1")]
    ids = [token for word in words for token in word]
    say = {"message": {"role": "assistant", "content": tokenizer.decode(ids)}, "sampled": True}
    nodes = [
        {"parent": None, "message": {"role": "user", "content": "You see a desk 1."}},
        {"parent": 0, **say, "token_ids": [*ids, tokenizer.eos_token_id], "mask": [True] * (len(ids) + 1)},
    ]
    traces = tmp_path / "traces.jsonl"
    traces.write_text(json.dumps({"traces": [{"nodes": nodes, "rewards": {}, "ok": True}]}) + "\n")
    command = ["import", traces, "--env", "tau2/airline", "--json", "--into"]
    code, out, _ = run(capsys, *command, tmp_path / "a", "--tokenizer", "tiny")
    (episode,) = TrajectoryBuffer(tmp_path / "a", create=False)
    assert code == 0 and json.loads(out)["steps_with_tokens"] == 1
    assert episode.steps[0].token_ids == tuple(ids) and episode.tokenizer == token_digest(tokenizer)
    run(capsys, *command, tmp_path / "b")
    (episode,) = TrajectoryBuffer(tmp_path / "b", create=False)
    assert episode.steps[0].token_ids is None and episode.tokenizer == ""
    code, out, error = run(capsys, *command, tmp_path / "c", "--tokenizer", tmp_path / "nowhere")
    assert (code, out) == (1, "") and error.count("\n") == 1 and "nowhere" in error


def test_recordings_that_are_not_word_for_word_are_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    played = rollout("oreo/ALFWorld-v0", agent="expert", episodes=2)
    with TrajectoryBuffer(tmp_path / "a") as buffer:
        buffer.extend(played)
    with TrajectoryBuffer(tmp_path / "b") as buffer:
        for episode in played:
            steps = [
                replace(step, observation=step.observation.replace("You arrive at ", "")) for step in episode.steps
            ]
            buffer.append(replace(episode, steps=tuple(steps)))
    for name in "ab":
        run(capsys, "export", tmp_path / name, tmp_path / f"{name}.json", "--format", "sharegpt")
    code, out, error = run(capsys, "import", tmp_path / "a.json", "--into", tmp_path / "same")
    assert code == 0 and "matched            2" in out and "word for word" not in out, error
    code, out, _ = run(capsys, "import", tmp_path / "b.json", "--into", tmp_path / "other")
    assert code == 0 and "step 1: observation is stored as" in out
    assert f"oreo buffer verify {tmp_path / 'other'} --repair {tmp_path / 'other'}-played" in out
    code, out, _ = run(capsys, "import", tmp_path / "b.json", "--into", tmp_path / "json", "--json")
    assert code == 0 and json.loads(out)["first_difference"]["what"] == "observation"
    code, out, _ = run(capsys, "import", tmp_path / "b.json", "--into", tmp_path / "json", "--json")
    assert code == 0 and json.loads(out)["first_difference"] is None  # nothing was stored
