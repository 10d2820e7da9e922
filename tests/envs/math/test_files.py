"""Problems from files: what is read, how it is named, what is told of bad files."""

from __future__ import annotations

import bz2
import copy
import gzip
import json
import lzma
import math
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oreo.envs.math.env import MathEnv
from oreo.envs.math.problems import Problem, id_of
from oreo.errors import DataError, OreoError, UsageError

from .rows import GSM8K, MATH, message, problems, won, write


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet"])
def test_gsm8k_is_a_folder_of_splits_or_a_file_and_ids_are_the_same(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, GSM8K)
    write(tmp_path / name.replace("train", "test"), GSM8K[:2])
    train = problems(f"gsm8k:{tmp_path}")
    assert train == problems(f"gsm8k:{tmp_path}", split="train") == problems(f"gsm8k:{tmp_path}/{name}")
    assert [problem.row_name for problem in train] == [f"gsm8k/train/{n}" for n in range(5)]
    assert (train[2].question, train[2].answer) == ("What is 3 + 3?", "6")
    assert [problem.row_name for problem in problems(f"gsm8k:{tmp_path}", split="test")] == [
        "gsm8k/test/0",
        "gsm8k/test/1",
    ]
    assert won(f"gsm8k:{tmp_path}") and won(f"gsm8k:{tmp_path}", tool="calculator")


@pytest.mark.parametrize(
    ("rows", "length", "message"),
    [
        (1 << 21, 1, r"it says it has 2,097,152 rows"),
        (2000, 200_000, r"its texts have more than 268,435,456 characters"),
    ],
)
def test_a_small_parquet_file_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, rows: int, length: int, message: str
) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["1" * length]))
    pq.write_table(pa.table({"question": column, "answer": column}), tmp_path / "x.parquet", compression="zstd")
    assert (tmp_path / "x.parquet").stat().st_size < 1 << 20
    with pytest.raises(DataError, match=message):
        problems(f"jsonl:{tmp_path / 'x.parquet'}")


def test_shards_of_a_split_are_one_and_their_rows_are_counted_through(tmp_path: Path) -> None:
    write(tmp_path / "train-00000-of-00002.parquet", GSM8K[:3])
    write(tmp_path / "train-00001-of-00002.parquet", GSM8K[3:])
    write(tmp_path / "training-notes.parquet", [{"x": 1}])
    assert [problem.row_name for problem in problems(f"gsm8k:{tmp_path}")] == [f"gsm8k/train/{n}" for n in range(5)]


def test_math_is_read_from_its_folders_of_subjects(tmp_path: Path) -> None:
    for split, rows in (("train", MATH), ("test", MATH[:2])):
        for number, row in enumerate(rows):
            write(tmp_path / "MATH" / split / row["type"].lower() / f"{number}.json", [row])
    train = problems(f"math:{tmp_path}/MATH")
    assert train[0].name == "math/train/algebra/1" and len(train) == 6
    assert (train[0].subject, train[0].level, train[0].answer) == ("Algebra", "2", "1")
    assert problems(f"math:{tmp_path}/MATH/train") == train
    assert problems(f"math:{tmp_path}/MATH/test") == problems(f"math:{tmp_path}/MATH", split="test")
    assert len(problems(f"math:{tmp_path}/MATH/test")) == 2
    for step in ("line", "sentence", "solution"):
        assert won(f"math:{tmp_path}/MATH", step=step)


def test_math_is_read_from_rows_too_as_in_math_500(tmp_path: Path) -> None:
    rows = [{**row, "subject": row["type"], "level": 5, "answer": str(n)} for n, row in enumerate(MATH)]
    for row in rows:
        del row["type"]
    (tmp := tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    listed = problems(f"math:{tmp}")
    assert [(problem.row_name, problem.level, problem.subject) for problem in listed[:2]] == [
        ("math/test/0", "5", "Geometry"),
        ("math/test/1", "5", "Algebra"),
    ]
    assert won(f"math:{tmp}", step="sentence")


@pytest.mark.parametrize("name", ["mine.jsonl", "mine.parquet"])
def test_any_rows_are_read_by_the_names_of_their_fields(tmp_path: Path, name: str) -> None:
    row = {"prompt": "2+2?", "target": 4, "steps": "Two and two.\nThat is 4.", "kind": "sums", "hard": 3}
    source = f"jsonl:{write(tmp_path / name, [row])}"
    named = {"question_field": "prompt", "answer_field": "target"}
    (plain,) = problems(source, **named)
    assert plain == Problem(f"jsonl/mine/{id_of('2+2?', '4')}", "2+2?", "4")
    (full,) = problems(source, **named, solution_field="steps", subject_field="kind", level_field="hard")
    assert (full.subject, full.level) == ("sums", "3")
    assert full.solution == "Two and two.\nThat is 4.\n#### 4", "a solution ends in the marked answer"
    assert won(source, **named, solution_field="steps")


def test_an_answer_may_be_a_worked_solution_that_marks_it(tmp_path: Path) -> None:
    rows = [*GSM8K, {"question": "?", "answer": "\\boxed{5}"}, {"question": "?", "answer": "7"}]
    listed = problems(f"jsonl:{write(tmp_path / 'a.jsonl', rows)}")
    assert [problem.answer for problem in listed] == ["2", "4", "6", "8", "10", "5", "7"]
    assert [bool(problem.solution) for problem in listed] == [True] * 5 + [False] * 2


def test_texts_that_hold_odd_line_ends_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(
        json.dumps({"question": "a\u2028b\x85c", "answer": "1"}, ensure_ascii=False) + "\n\n", encoding="utf-8"
    )
    assert problems(f"jsonl:{path}")[0].question == "a\u2028b\x85c"


def test_the_mark_with_which_some_editors_begin_a_file_is_no_part_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", GSM8K)
    before = problems(f"gsm8k:{path}")
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf") and problems(f"gsm8k:{path}") == before


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ("gsm8k", "{", "line 2: not JSON"),
        ("gsm8k", "[" * 100_000, "line 2: JSON that is nested too deeply"),
        ("gsm8k", "[1]", "line 2: expected a JSON object"),
        ("gsm8k", '{"question": "?"}', "line 2: no field 'answer'; the fields are question"),
        ("gsm8k", "{}", "line 2: no field 'question'; the fields are none"),
        ("gsm8k", '{"question": "?", "answer": "72"}', "line 2: no answer, neither"),
        ("gsm8k", '{"question": "?", "answer": ["72"]}', "line 2: 'answer' is text or a number, got list"),
        ("gsm8k", '{"question": "", "answer": "#### 72"}', "line 2: an empty question"),
        ("jsonl", '{"question": "?", "answer": null}', "line 2: no field 'answer'"),
        ("jsonl", '{"question": "?", "answer": true}', "line 2: 'answer' is text or a number, got bool"),
        ("jsonl", '{"question": "?", "answer": ""}', "line 2: no answer"),
    ],
)
def test_a_bad_row_is_told_with_file_and_line(tmp_path: Path, source: str, line: str, says: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(f"{json.dumps(GSM8K[0])}\n{line}\n")
    told = message(lambda: MathEnv(source=f"{source}:{path}"), DataError)
    assert told.startswith(f"{path}, {says}")


def test_bad_files_and_folders_are_told(tmp_path: Path) -> None:
    def told(source: str, kind: type[OreoError] = DataError, **made: Any) -> str:
        return message(lambda: MathEnv(source=source, **made), kind)

    assert "no such file" in told(f"gsm8k:{tmp_path}/nowhere")
    assert "expected train.jsonl" in told(f"gsm8k:{tmp_path}")
    (tmp_path / "train.jsonl").write_bytes(b"\xff\xfe")
    assert "save it as UTF-8" in told(f"gsm8k:{tmp_path}")
    (tmp_path / "test.parquet").write_bytes(b"not parquet")
    assert "not a Parquet file" in told(f"gsm8k:{tmp_path}", split="test")
    (tmp_path / "train.jsonl").write_text("\n")
    assert "no problem in it" in told(f"gsm8k:{tmp_path}")
    (tmp_path / "notes.txt").write_text("x")
    assert ".jsonl or .parquet" in told(f"gsm8k:{tmp_path}/notes.txt", UsageError)
    odd = {**MATH[0], "type": "Number Theory", "level": "Level ?"}
    good = write(tmp_path / "good.jsonl", [*MATH, odd])
    assert "split of its own" in told(f"math:{good}", UsageError, split="test")
    assert "did you mean 'Algebra'" in told(f"math:{good}", UsageError, subjects=["Algebr"])
    assert "no level '9'" in told(f"math:{good}", UsageError, levels=[9])
    assert "no problem has both" in told(f"math:{good}", UsageError, levels=[3], subjects="Number Theory")
    assert "name no levels" in told(f"gsm8k:{write(tmp_path / 'g.jsonl', GSM8K)}", UsageError, levels=[1])
    assert "unknown argument 'steps'" in told(f"math:{good}", UsageError, steps=3)
    broken = write(tmp_path / "MATH" / "train" / "algebra" / "7.json", [{"problem": "?"}])
    assert told(f"math:{tmp_path}/MATH").startswith(f"{broken}: no field 'solution'")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("test.jsonl", "test.parquet"),
        ("test-00000-of-00001.parquet", "test.parquet"),
        ("test-00000-of-00002.parquet", "test-00000-of-00003.parquet"),
    ],
)
def test_a_split_that_is_there_twice_is_refused_and_either_file_can_be_named(
    tmp_path: Path, one: str, other: str
) -> None:
    for name in (one, other, "train.jsonl"):
        write(tmp_path / name, GSM8K)
    told = message(lambda: MathEnv(source=f"gsm8k:{tmp_path}", split="test"), DataError)
    assert one in told and other in told and "name one" in told
    assert [len(problems(f"gsm8k:{tmp_path}/{name}")) for name in (one, other)] == [5, 5]
    assert len(problems(f"gsm8k:{tmp_path}")) == 5, "the other split is there once"


def test_a_file_is_read_once_for_all_environments_and_again_when_it_changes(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", GSM8K)
    one, other = (MathEnv(source=f"gsm8k:{path}") for _ in range(2))
    assert one._problems.named("gsm8k/train/0") is other._problems.named("gsm8k/train/0")
    assert copy.deepcopy(one)._problems is one._problems
    write(path, GSM8K[:1])
    assert [problem.row_name for problem in problems(f"gsm8k:{path}")] == ["gsm8k/train/0"]


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet"])
def test_a_line_inserted_at_the_top_makes_no_other_problems_of_those_behind_it(tmp_path: Path, name: str) -> None:
    source = f"gsm8k:{write(tmp_path / name, GSM8K)}"
    before = {problem.name: problem for problem in problems(source)}
    assert all(re.fullmatch("gsm8k/train/[0-9a-f]{16}", name) for name in before) and len(before) == len(GSM8K)
    write(tmp_path / name, [{"question": "1+1?", "answer": "Two.\n#### 2"}, *GSM8K])
    after = {problem.name: problem for problem in problems(source)}
    assert before.items() <= after.items() and len(after) == len(before) + 1


def test_an_id_of_before_by_the_row_still_names_its_problem(tmp_path: Path) -> None:
    source = f"gsm8k:{write(tmp_path / 'train.jsonl', GSM8K)}"
    env = MathEnv(source=source)
    for number, row in enumerate(GSM8K):
        question, info = env.reset(seed=0, options={"game": f"gsm8k/train/{number}"})
        assert question == row["question"] and info["game"] == env.games[number]
        assert env.reset(seed=1, options={"game": info["game"]})[0] == question
    with pytest.raises(UsageError, match="no problem 'gsm8k/train/99'"):
        env.reset(options={"game": "gsm8k/train/99"})


def test_a_problem_that_is_there_twice_has_two_ids(tmp_path: Path) -> None:
    source = f"gsm8k:{write(tmp_path / 'train.jsonl', [*GSM8K, GSM8K[0]])}"
    first, *_, again = problems(source)
    assert again.name == f"{first.name}-2" and again.question == first.question


OTHERS = {
    "gzip": (lambda text: gzip.compress(text.encode()), "gunzip"),
    "zip": (lambda text: b"PK\x03\x04" + text.encode(), "zip archive"),
    "xz": (lambda text: lzma.compress(text.encode()), "unxz"),
    "bzip2": (lambda text: bz2.compress(text.encode()), "bunzip2"),
    "UTF-16": (lambda text: text.encode("utf-16"), "save it as UTF-8"),
    "UTF-16 without a mark": (lambda text: text.encode("utf-16-le"), "save it as UTF-8"),
    "UTF-16, the other way": (lambda text: text.encode("utf-16-be"), "save it as UTF-8"),
    "a JSON array": (lambda text: f"[{text.strip()}]".encode(), "a JSON array"),
    "a JSON array over lines": (lambda text: f"[\n  {text}\n]".encode(), "a JSON array"),
    "a web page": (lambda text: b"<!DOCTYPE html><html>", "a web page"),
    "a pointer": (lambda text: b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "CSV": (lambda text: b"question,answer\n1+1?,2\n", "separated values"),
    "Parquet": (lambda text: b"PAR1" + bytes(99), "ends in .parquet"),
    "nothing that is text": (lambda text: bytes([0, 1, 2, 3]) * 99, "no text at all"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_of_another_kind_is_told_by_what_it_looks_like(tmp_path: Path, kind: str) -> None:
    written, says = OTHERS[kind]
    path = tmp_path / "train.jsonl"
    path.write_bytes(written('{"question": "1+1?", "answer": "#### 2"}\n'))
    with pytest.raises(DataError) as caught:
        MathEnv(source=f"gsm8k:{path}")
    assert says in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_files_of_other_names_and_forms_are_told_too(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(b"{}"))
    with pytest.raises(UsageError, match="expected a file of rows.*gunzip"):
        MathEnv(source=f"gsm8k:{tmp_path / 'train.jsonl.gz'}")
    (tmp_path / "train.parquet").write_text('[{"question": 1}]')
    with pytest.raises(DataError, match="not a Parquet file: it is a JSON array"):
        MathEnv(source=f"gsm8k:{tmp_path / 'train.parquet'}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("train.jsonl", "train.parquet"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataError, match="no such file"):
            MathEnv(source=f"gsm8k:{tmp_path / name}")
    with pytest.raises(DataError, match="no split train"):
        MathEnv(source=f"gsm8k:{tmp_path}")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["question", "answer"])
def test_a_number_that_is_none_is_no_question_and_no_answer(tmp_path: Path, field: str, value: str) -> None:
    row = {"question": '"1+1?"', "answer": '"2"'} | {field: value}
    path = tmp_path / "data.jsonl"
    path.write_text("{" + ", ".join(f'"{name}": {text}' for name, text in row.items()) + "}\n")
    with pytest.raises(DataError, match=f"line 1: '{field}' is -?(nan|inf), which is no value"):
        MathEnv(source=f"jsonl:{path}")


def test_what_pandas_writes_for_a_missing_number_is_a_missing_value(tmp_path: Path) -> None:

    columns = {"problem": ["1+1?"], "solution": [r"It is \boxed{2}."], "answer": [math.nan], "level": [math.nan]}
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    (problem,) = problems(f"math:{tmp_path / 'train.parquet'}")
    assert (problem.answer, problem.level) == ("2", "")
    pq.write_table(pa.table({"question": ["1+1?"], "answer": [math.nan]}), tmp_path / "bad.parquet")
    with pytest.raises(DataError, match="row 0: 'answer' is nan"):
        MathEnv(source=f"jsonl:{tmp_path / 'bad.parquet'}")


def test_json_nested_too_deeply_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text('{"question": ' + "[" * 50_000 + "]" * 50_000 + "}\n")
    with pytest.raises(DataError, match="line 1: JSON that is nested too deeply"):
        MathEnv(source=f"jsonl:{path}")
