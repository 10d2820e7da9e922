"""What an episode was and where it came from: plain frozen data, no behaviour beyond arithmetic on rewards."""

from __future__ import annotations

from dataclasses import dataclass, field

from oreo.field_docs import document_fields


@document_fields
@dataclass(frozen=True)
class Candidate:
    """One of the turns an agent considered at a step."""

    text: str
    """The turn, as the agent would have written it."""
    log_prob: float | None = None
    """Natural logarithm of its probability under the acting policy, summed over its tokens (end of turn included)."""
    value: float | None = None
    """V of the state it leads to, read before the turn's end token (see oreo.encoding.turn_format)."""
    count: int = 1
    """How many of the sampled turns said this."""


@document_fields
@dataclass(frozen=True)
class Step:
    """One turn: what the agent saw, what it wrote, what the environment was given and paid for it."""

    observation: str
    """The text the agent saw before this turn (of step 0: the reset observation)."""
    action: str
    """The text handed to the environment."""
    reward: float = 0.0
    """The reward the environment paid for this action."""
    turn: str | None = None
    """The agent's whole turn where it is more than the action ("Thought: … Action: …"); None: the action itself."""
    action_valid: bool | None = None
    """False where the environment refused the action, None where it does not say."""
    admissible_commands: tuple[str, ...] | None = None
    """The commands the environment would have accepted here, None where it does not know."""
    log_prob: float | None = None
    """Log-probability of the turn under the policy that acted: at its sampling temperature where it was sampled token
    by token here, else (an admissible command, a turn of most servers) the model's own."""
    value: float | None = None
    """V(s) of the state the turn was chosen in, where a value model was at hand."""
    candidates: tuple[Candidate, ...] = ()
    """All turns that were considered, the chosen one among them; empty where only one was."""
    imitate: bool = True
    """False for a turn made worse on purpose (noise): training by imitation skips it and learns the recovery."""
    continues_message: bool = False
    """The agent's message goes on after this turn: the turn has no end-of-turn token, and what the environment says, if
    anything, and the next turn stand right behind it. So with solutions that are written step by step."""
    cut: bool = False
    """The turn was ended by a limit on its tokens and not by the agent: no end of turn is the agent's own there, and
    none is learnt."""
    context_start: int = 0
    """The step from which the agent was told of the episode here, beside the first observation: older turns had left a
    full context. 0: of all of it."""

    token_ids: tuple[int, ...] | None = None
    """The turn as it was sampled, without the token that ended it: the same text can be other tokens as well. Of the
    tokenizer that `Trajectory.tokenizer` names; None: not known. Who changes a text drops them."""
    actor: str = ""
    """Who chose this turn where an episode has several actors: "agent" or "person"; empty: whom `Trajectory.agent`
    names."""

    @property
    def text(self) -> str:
        """What the agent wrote: the text that training treats as this step's action tokens."""
        return self.action if self.turn is None else self.turn


@document_fields
@dataclass(frozen=True)
class Trajectory:
    """One episode with its provenance. `terminated` and `truncated` are Gymnasium's, and stay apart.

    Equal trajectories are one in a set; what is in dicts is compared and not hashed.
    """

    env_id: str
    """Gymnasium id, or `path/to/file.py:Class`."""
    steps: tuple[Step, ...]
    final_observation: str
    """What the environment said after the last action."""
    terminated: bool
    truncated: bool
    won: bool
    env_kwargs: dict[str, object] = field(default_factory=dict, hash=False)
    """Keyword arguments the environment was made with (JSON types only), so that it can be made again."""
    task: str = ""
    task_type: str = ""
    game: str = ""
    dialect: str = ""
    grade: str = ""
    """What the environment says of its end beyond won and lost: in mathematics correct, wrong, no_answer, timeout."""
    seed: int | None = None
    """The seed given to `env.reset`."""
    agent: str = ""
    """The agent's name and settings, e.g. `lm(temperature=1.0)`."""
    checkpoint: str = ""
    """First 16 hex digits of the SHA-256 of the policy's weights; `served:MODEL` where a server has them,
    `vllm:MODEL` where vLLM read them from no safetensors; empty for agents without any."""
    tokenizer: str = ""
    """Digest of the tokenizer that the steps' `token_ids` are of (`oreo.encoding.token_digest`), empty where
    there are none."""
    versions: dict[str, str] = field(default_factory=dict, hash=False)
    """Versions of the packages the episode depended on."""
    created: str = ""
    """UTC time the episode ended, ISO 8601."""
    extra: dict[str, object] = field(default_factory=dict, hash=False)
    """What else is known of it, in JSON types: fields of other formats that have no place here, where it was read
    from. Nothing is learnt from it."""

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def episode_return(self) -> float:
        """Undiscounted sum of rewards."""
        return sum(step.reward for step in self.steps)

    @property
    def returns_to_go(self) -> list[float]:
        """R_t = Σ_{i≥t} r_i for each step (arXiv 2412.16145, section 3)."""
        total, returns = 0.0, []
        for step in reversed(self.steps):
            total += step.reward
            returns.append(total)
        return returns[::-1]

    def __repr__(self) -> str:
        outcome = "won" if self.won else "truncated" if self.truncated else "lost"
        name = self.game or self.task
        return f"Trajectory({self.env_id}, {name!r}, {len(self)} steps, {outcome}, agent={self.agent})"
