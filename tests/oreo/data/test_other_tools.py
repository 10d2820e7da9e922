"""A buffer is read as it is by what other people use: pyarrow, DuckDB, polars, Hugging Face datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from oreo.data.buffer import TrajectoryBuffer

from .episodes import RICH, episode


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A buffer of two shards, with what stands beside them: the manifest, a journal, a file that was set aside."""
    buffer = TrajectoryBuffer(tmp_path / "buffer", episodes_per_shard=2)
    buffer.extend([RICH, episode("b", won=False), episode("c"), episode("d", steps=0), episode("in the journal")])
    (tmp_path / "buffer" / "damaged").mkdir()
    (tmp_path / "buffer" / "damaged" / "_x.parquet").write_bytes(b"no Parquet")
    return tmp_path / "buffer"


def test_pyarrow(shards: Path) -> None:
    import pyarrow.dataset as ds

    table = ds.dataset(shards).to_table(filter=ds.field("won"), columns=["game", "length", "steps"])
    assert table.column("game").to_pylist() == ["rich", "c", "d"]
    assert table.column("steps").to_pylist()[0][2]["token_ids"] == [5, 0, 7]


def test_duckdb(shards: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    query = f"select game, steps[1].candidates[1].text, extra->>'$.notes[2]' from '{shards}/*.parquet' where won"
    rows = duckdb.sql(query).fetchall()
    assert rows == [("rich", "a", "é"), ("c", None, None), ("d", None, None)]


def test_polars(shards: Path) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.scan_parquet(f"{shards}/*.parquet").filter(polars.col("won")).select("game", "steps").collect()
    assert frame["game"].to_list() == ["rich", "c", "d"]
    assert [step["action"] for step in frame["steps"].to_list()[0]] == ["a", "b", "c"]


def test_hugging_face_datasets(shards: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    rows = datasets.load_dataset(
        "parquet", data_files=f"{shards}/*.parquet", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert rows["game"][:] == ["rich", "b", "c", "d"] and rows[0]["steps"][0]["candidates"][0]["text"] == "a"
    assert rows[0]["versions"] == '{"oreo-agents": "0.1"}' and rows[0]["env_kwargs"] == '{"split": "train"}'
