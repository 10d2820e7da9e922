"""Workers on a Ray of this machine: the same episodes as one process, also when one of four is killed in the middle."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oreo.agents.settings import AgentConfig
from oreo.data import journal
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import DataError, EngineError, UsageError
from oreo.rollouts.callbacks import Callbacks
from oreo.rollouts.collect import collect
from oreo.rollouts.links import Job
from oreo.rollouts.loop import rollout
from oreo.rollouts.ray_cluster import _gpus, check_shared, connected
from oreo.rollouts.settings import Rollout
from oreo.trajectory import Trajectory

# Not importorskip: what `connected` sets is read when ray is imported.
if importlib.util.find_spec("ray") is None:
    pytest.skip("needs Ray: pip install 'oreo-agents[ray]'", allow_module_level=True)

GUESS = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"


@pytest.fixture(scope="module", autouse=True)
def a_ray_of_this_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        with connected(workers=4):
            yield


def undated(trajectories: Any) -> list[Trajectory]:
    return sorted((replace(episode, created="") for episode in trajectories), key=lambda episode: episode.seed)


def test_the_episodes_are_those_of_one_process(tmp_path: Path) -> None:
    won: list[bool] = []
    playing: dict[str, Any] = {"agent": "expert", "into": tmp_path, "workers": 2, "ray": True}
    player = collect([(0, range(50))], Rollout(GUESS, seed=4), callbacks=Callbacks(won.append), **playing)
    buffer = TrajectoryBuffer(tmp_path)
    assert undated(buffer) == undated(rollout(GUESS, agent="expert", episodes=50, seed=4))
    assert player is not None and player.agent == "expert"
    assert len(won) == 50 and sum(won) == buffer.info()["won"]
    assert 1 <= buffer.info()["shards"] <= 2


def test_one_of_four_killed_in_the_middle_loses_nothing_and_nothing_counts_twice(
    four: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    into = tmp_path / "buffer"
    playing: dict[str, Any] = {"agent": "expert", "into": into, "workers": 4, "ray": True}
    collect([(0, range(200))], Rollout(four.env, batch_size=3), callbacks=Callbacks(four.kill_one), **playing)
    assert undated(TrajectoryBuffer(into)) == undated(rollout(four.env, agent="expert", episodes=200))
    assert len(four.stored) == 200
    assert capfd.readouterr() == ("", "")


def test_workers_that_die_again_and_again_end_it_in_one_line(tmp_path: Path) -> None:
    code = "import os\nfrom oreo.envs import TextEnv\n\nclass Deadly(TextEnv):\n    def start(self, rng):\n"
    (tmp_path / "deadly.py").write_text(code + "        os.kill(os.getpid(), 9)\n")
    with pytest.raises(EngineError, match="^4 workers died one after the other in .*; what was stored"):
        rollout = Rollout(f"{tmp_path / 'deadly.py'}:Deadly")
        collect([(0, range(9))], rollout, agent="expert", into=tmp_path / "b", workers=2, ray=True)


def test_an_error_in_a_worker_is_the_callers_and_so_is_a_warning(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes no argument 'colour'"):
        rollout = Rollout(GUESS, {"colour": "red"})
        collect([(0, range(9))], rollout, agent="expert", into=tmp_path, workers=1, ray=True)
    code = "import warnings\nfrom oreo.envs import TextEnv\n\nclass Worried(TextEnv):\n    def start(self, rng):\n"
    code += "        warnings.warn('mind the gap')\n        return 'a'\n\n    def act(self, text):\n"
    (tmp_path / "worried.py").write_text(code + "        return 'b', 1.0, True\n")
    with pytest.warns(UserWarning, match="^mind the gap$"):
        rollout = Rollout(f"{tmp_path / 'worried.py'}:Worried")
        collect([(0, range(2))], rollout, agent="random", into=tmp_path / "b", workers=1, ray=True)


def test_what_was_stored_stays_when_one_stops_it(tmp_path: Path) -> None:
    def interrupt(won: bool) -> None:
        if len(TrajectoryBuffer(tmp_path)) >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        playing: dict[str, Any] = {"agent": "expert", "into": tmp_path, "workers": 1, "ray": True}
        collect([(0, range(5000))], Rollout(GUESS), callbacks=Callbacks(interrupt), **playing)
    kept = undated(TrajectoryBuffer(tmp_path))
    assert 20 <= len(kept) < 5000
    assert len({episode.seed for episode in kept}) == len(kept)


def test_a_folder_that_is_not_shared_or_has_no_locks_is_refused(tmp_path: Path) -> None:
    """As a machine sees it that has not the folder, or not the lock."""
    with TrajectoryBuffer(tmp_path) as buffer:
        probe = f"_{buffer.writer_name}-00001{journal.SUFFIX}"
        check_shared(tmp_path, probe)
        with pytest.raises(DataError, match="does not see the buffer"):
            check_shared(tmp_path / "elsewhere", probe)
        (tmp_path / "unlocked").touch()
        with pytest.raises(DataError, match="does not see file locks"):
            check_shared(tmp_path, "unlocked")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_listens_to_the_network() -> None:
    """Whoever reaches a Ray runs code there."""
    import ray

    ray.get(ray.remote(lambda: 0).remote())  # so that there is a worker
    ours = {
        os.readlink(file)
        for process in Path("/proc").glob("[0-9]*")
        if _belongs(process, ray._private.worker._global_node.get_session_dir_path())
        for file in _files(process)
    }
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, address, _, state, *columns = line.split()
            if state == "0A" and f"socket:[{columns[5]}]" in ours:
                listening.append(address.rpartition(":")[0])
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert len(listening) >= 6 and set(listening) <= loopback


def _belongs(process: Path, session: str) -> bool:
    """Ray's servers name the session; its workers are children of one of them."""
    try:
        parent = Path("/proc", process.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        command_lines = (process / "cmdline").read_bytes() + (parent / "cmdline").read_bytes()
        return session.encode() in command_lines or process.name == str(os.getpid())
    except OSError:
        return False


def _files(process: Path) -> list[Path]:
    try:
        return [file for file in (process / "fd").iterdir() if file.is_symlink()]
    except OSError:
        return []


def test_a_cluster_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    command = ["collect", "--env", GUESS, "--episodes", "2", "--into", str(tmp_path / "b"), "--ray"]
    environment = {**os.environ, "RAY_ADDRESS": "127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-m", "oreo", *command], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("oreo: no Ray at RAY_ADDRESS=127.0.0.1:1 (") and done.stderr.count("\n") == 1


def test_only_workers_that_load_a_model_ask_for_gpus() -> None:
    def asked(agent: str, **settings: Any) -> float:
        return _gpus(Job(Rollout(GUESS), agent, AgentConfig(**settings), Path()), 4)

    assert asked("expert", device="cuda") == asked("served:m", device="cuda") == asked("tiny", device="cpu") == 0
    with pytest.raises(UsageError, match="'cuda:1'"):
        asked("tiny", device="cuda:1")
