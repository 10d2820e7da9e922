"""Training against the closed form: decision processes of a few tokens, solved by dynamic programming.

What is compared, state by state: V with V*, and π with π* (total variation; KL in nats). Every level, every λ of value
and policy and every γ has one fixed point where the data covers every token of every state: residuals that vanish on
all episodes leave one V and one π, whatever weight each episode has. V is learnt in every state. By level, of π:

token:    the residual of every state.
step:     that of the states where turns begin.
response: that of V(s_0) alone; all episodes together determine π.

First tables (a number for each state and token), trained by the loss of the trainer, in float64; episodes come in
unequal numbers. Then a transformer, all the way: a text environment played into a buffer, `oreo.train`, and what
`oreo.models.loading` reads out of the folders it leaves.

α is 0: its KL term moves the optimum, as two tests here say, one of them of what no data covers. `pytest -s` prints
the distances.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from helpers import exact_process, small_models
from oreo.data.buffer import TrajectoryBuffer
from oreo.encoding.turn_format import TurnFormat
from oreo.models.loading import load_policy, load_value
from oreo.models.saving import save_model
from oreo.models.scorers import Policy, Value
from oreo.rollouts.loop import rollout
from oreo.training.batches import Batch, collate
from oreo.training.config import TrainConfig
from oreo.training.methods.spec import Update
from oreo.training.rows import Example
from oreo.training.trainer import train

torch.set_num_threads(1)


# The closed form itself.


@pytest.mark.parametrize("beta", [0.03, 0.1, 1.0])
@pytest.mark.parametrize("which", ["tree", "conversation"])
def test_the_closed_form_weighs_whole_episodes_by_the_exponential_of_their_return(which: str, beta: float) -> None:
    """V*(s_0) = β log Σ_τ π_ref(τ) exp(R(τ)/β) and π*(τ) = π_ref(τ) exp((R(τ) − V*(s_0))/β), from all episodes."""
    process = getattr(exact_process, which)()
    reference = exact_process.random_reference(process)
    value, policy = exact_process.solve(process, reference, beta)
    walks = exact_process.walks(process)
    returns = np.array([sum(process[state][token].reward for state, token in walk) for walk in walks])
    before, after = (np.array([sum(table[move] for move in walk) for walk in walks]) for table in (reference, policy))
    assert np.exp(before).sum() == pytest.approx(1) and np.exp(after).sum() == pytest.approx(1)
    assert value[""] == pytest.approx(beta * np.logaddexp.reduce(before + returns / beta))
    np.testing.assert_allclose(after, before + (returns - value[""]) / beta, rtol=1e-9, atol=1e-9)
    assert min(exact_process.divergence(process, policy, reference).values()) >= -1e-12


# Tables.


class Table(nn.Module):
    """A policy with a number for each (state, token), in place of `oreo.models.scorers.Policy`. A token's id is its
    place in the table, so it tells the state it was written in as well."""

    def __init__(self, process: Any, reference: dict[Any, float]) -> None:
        super().__init__()
        self.moves = [(state, token) for state, tokens in process.items() for token in tokens]
        sizes = torch.tensor([len(tokens) for tokens in process.values()])
        self.state = torch.repeat_interleave(torch.arange(len(process)), sizes)
        self.column = torch.cat([torch.arange(size) for size in sizes.tolist()])
        self.shape = (len(process), int(sizes.max()))
        self.reference = torch.tensor([reference[move] for move in self.moves], dtype=torch.float64)
        self.logits = nn.Parameter(self.reference.clone())

    def log_prob(self) -> Tensor:
        rows = torch.full(self.shape, -math.inf, dtype=torch.float64)
        rows = rows.index_put((self.state, self.column), self.logits)
        return rows.log_softmax(-1)[self.state, self.column]

    def forward(
        self, ids: Tensor, mask: Tensor, *, reference: None = None, kl: bool = True, packing: None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        log_prob = self.log_prob()
        of_state = torch.zeros(self.shape[0], dtype=torch.float64)
        divergence = of_state.index_add(0, self.state, log_prob.exp() * (log_prob - self.reference))
        return log_prob[ids], self.reference[ids], divergence[self.state][ids]


class Values(nn.Module):
    """A number for each state, in place of `oreo.models.scorers.Value`."""

    def __init__(self, policy: Table) -> None:
        super().__init__()
        self.state = policy.state
        self.values = nn.Parameter(torch.zeros(policy.shape[0], dtype=torch.float64))

    def forward(self, ids: Tensor, mask: Tensor, *, packing: None = None) -> Tensor:
        return self.values[self.state][ids]


def laid_out(process: Any, walks: list[Any], moves: list[Any]) -> Batch:
    """Episodes as the trainer's tensors: a prompt, then turns and observations. Off the turns rewards are NaN."""
    place = {move: index for index, move in enumerate(moves)}
    rows = []
    for walk in walks:
        row, begins = [(0, False, False, math.nan)], True
        for state, token in walk:
            move = process[state][token]
            row.append((place[state, token], True, begins, move.reward))
            row += [(0, False, False, math.nan)] * len(move.observation)
            begins = move.ends_turn
        rows.append(row)
    length = max(map(len, rows))
    padded = [row + [(0, False, False, math.nan)] * (length - len(row)) for row in rows]
    kinds = (torch.long, torch.bool, torch.bool, torch.float64)
    ids, mask, start, reward = (
        torch.tensor([[entry[k] for entry in row] for row in padded], dtype=kind) for k, kind in enumerate(kinds)
    )
    return Batch(ids, mask, start, reward, mask)


def in_one_piece(batch: Batch) -> list[Example]:
    """A trajectory for each row; nothing else is asked of them."""
    piece: Any = None
    return [Example(((piece,),), False, "")] * len(batch.input_ids)


WINDOW = 10
"""Steps that the next one is extrapolated from."""


def train_tables(
    process: Any,
    walks: list[Any],
    reference: dict[Any, float],
    *,
    updates: int,
    **settings: Any,
) -> tuple[dict[str, float], dict[Any, float]]:
    """V and log π after so many updates on all of `walks`, from V = 0 and from the reference; fewer, where the loss
    is next to nothing before.

    Gradient descent, each gradient divided by the share of episodes that pass its state or token: how fast a table
    learns depends on that share, where it arrives does not. Log-ratios are worth β times their number in the residual,
    so the rate of the policy is 1/β² of the value's. From the last steps the next one is extrapolated (Anderson
    acceleration, after Walker and Ni, 2011), which stands still where the gradients are zero, and only there.
    """
    config = TrainConfig(**{"alpha": 0.0, **settings})
    rate = 0.1 if config.level == "response" or config.method == "dqo" or config.alpha else 0.4
    policy = Table(process, reference)
    value = Values(policy)
    batch = laid_out(process, walks, policy.moves)
    passing = torch.bincount(batch.input_ids[batch.action_mask], minlength=len(policy.moves)).double() / len(walks)
    in_state = torch.zeros(len(process), dtype=torch.float64).index_add(0, policy.state, passing)
    parameters = [policy.logits, value.values]
    rates = [rate / share.clamp(min=1e-9) for share in (passing, in_state)]
    rates[0] /= float(config.beta or 0.0) ** 2
    scale = torch.cat([torch.full_like(policy.logits.detach(), float(config.beta or 0.0)), torch.ones(len(process))])
    places: list[Tensor] = []
    steps: list[Tensor] = []
    for _ in range(updates):
        loss = config.spec.loss(Update(config, policy, value), batch, in_one_piece(batch)).loss
        if loss.item() < 1e-11:
            break
        gradients = torch.autograd.grad(loss, parameters)
        step = -torch.cat([rate * gradient for rate, gradient in zip(rates, gradients, strict=True)])
        places = [*places[-WINDOW:], torch.cat([parameter.detach() for parameter in parameters])]
        steps = [*steps[-WINDOW:], step]
        after = places[-1] + step
        if len(steps) > 1:
            moved, changed = (torch.stack(entries).diff(dim=0).T for entries in (places, steps))
            weights = torch.linalg.lstsq(scale[:, None] * changed, scale * step, driver="gelsd").solution
            after -= (moved + changed) @ weights
        with torch.no_grad():
            for parameter, entries in zip(parameters, after.split([len(policy.moves), len(process)]), strict=True):
                parameter.copy_(entries)
    values = dict(zip(process, value.values.tolist(), strict=True))
    return values, dict(zip(policy.moves, policy.log_prob().tolist(), strict=True))


def in_numbers(walks: list[Any], most: int, seed: int = 0) -> list[Any]:
    """Each episode one to `most` times."""
    counts = np.random.default_rng(seed).integers(1, most + 1, len(walks))
    return [walk for walk, count in zip(walks, counts, strict=True) for _ in range(count)]


def distances(process: Any, best: Any, learnt: Any) -> dict[str, float]:
    """(V, log π) found against the best: the largest distance over all states, and means."""
    off = [abs(best[0][state] - learnt[0][state]) for state in process]
    variation = list(exact_process.variation(process, best[1], learnt[1]).values())
    kl = max(exact_process.divergence(process, best[1], learnt[1]).values())
    return {"V": max(off), "V mean": sum(off) / len(off), "TV": max(variation),
            "TV mean": sum(variation) / len(variation), "KL": kl}  # fmt: skip


def told(case: str, learnt: dict[str, float]) -> None:
    print(f"\n{case}: " + ", ".join(f"{name} {distance:.1e}" for name, distance in learnt.items()), end="")


# β -> what V and total variation are within in every state. A residual moves a log-ratio by its β-th part.
WITHIN = {0.03: (1e-4, 5e-4), 0.1: (1e-4, 2e-4), 1.0: (1e-4, 1e-5)}


# Every method with every level that it has, λ of the value and of the policy alike or not, with and without a discount;
# in pairs, every β with every process, method and level. (Response with 0.1 is a transformer's, below.)
@pytest.mark.parametrize(
    ("which", "method", "level", "value_lambda", "policy_lambda", "gamma", "beta"),
    [
        ("conversation", "oreo", "token", 0.0, 0.0, 1.0, 0.03),
        ("conversation", "oreo", "token", 0.0, 0.7, 1.0, 0.1),
        ("conversation", "oreo", "token", 0.5, 0.5, 0.8, 0.1),
        ("conversation", "oreo", "token", 1.0, 1.0, 1.0, 1.0),
        ("conversation", "oreo", "step", 0.0, 0.0, 1.0, 1.0),
        ("conversation", "oreo", "step", 0.5, 1.0, 1.0, 0.03),
        ("conversation", "oreo", "step", 1.0, 1.0, 0.5, 0.1),
        ("conversation", "oreo", "response", 1.0, 1.0, 1.0, 0.03),
        ("conversation", "oreo", "response", 0.5, 1.0, 0.8, 1.0),
        ("conversation", "dqo", "token", 0.5, 0.5, 1.0, 1.0),
        ("conversation", "dqo", "token", 1.0, 1.0, 1.0, 0.03),
        ("tree", "oreo", "token", 1.0, 0.5, 0.9, 0.1),
        ("tree", "oreo", "step", 1.0, 1.0, 1.0, 0.03),
        ("tree", "oreo", "response", 1.0, 1.0, 1.0, 1.0),
        ("tree", "dqo", "token", 1.0, 1.0, 1.0, 0.1),
    ],
)
def test_tables_reach_the_closed_form(
    which: str,
    method: str,
    level: str,
    value_lambda: float,
    policy_lambda: float,
    gamma: float,
    beta: float,
) -> None:
    process = getattr(exact_process, which)()
    reference = exact_process.random_reference(process)
    best = exact_process.solve(process, reference, beta, gamma)
    assert max(exact_process.variation(process, best[1], reference).values()) > 0.05  # it is not where training begins
    settings: dict[str, Any] = dict(
        method=method, level=level, value_lambda=value_lambda, policy_lambda=policy_lambda, gamma=gamma, beta=beta
    )
    walks = in_numbers(exact_process.walks(process), 3)
    learnt = train_tables(process, walks, reference, updates=500, **settings)
    off = distances(process, best, learnt)
    told(f"{which} {method} {level} λ {value_lambda} {policy_lambda} γ {gamma} β {beta}", off)
    value_within, variation_within = WITHIN[beta]
    assert off["V"] < value_within and off["TV"] < variation_within


@pytest.mark.parametrize("level", ["token", "response"])
def test_how_often_each_episode_is_in_the_data_changes_nothing(level: str) -> None:
    """Each once, and each up to thirty times; rows of a batch are all that a loss knows of the behaviour policy."""
    process = exact_process.conversation()
    reference = exact_process.random_reference(process)
    best = exact_process.solve(process, reference, 0.1)
    for most in (1, 30):
        walks = in_numbers(exact_process.walks(process), most, seed=1)
        learnt = train_tables(process, walks, reference, updates=500, level=level, beta=0.1)
        learnt = distances(process, best, learnt)
        told(f"each episode 1 to {most} times, {level} β 0.1", learnt)
        assert learnt["V"] < 1e-4 and learnt["TV"] < 1e-4


def test_with_the_kl_term_the_optimum_is_another_nearer_to_the_reference() -> None:
    """One state, four tokens at shares μ of the data. Where both gradients vanish, V is the mean of r − βρ under μ, and
    2β μ(a) (V − r(a) + β ρ(a)) + α π(a) (ρ(a) − KL) = 0 for each token a: with α = 0 that is π*, otherwise not."""
    beta, process = 0.1, exact_process.tree(turns=(1,))
    reference = exact_process.random_reference(process)
    best, best_policy = exact_process.solve(process, reference, beta)
    walks = in_numbers(exact_process.walks(process), 3)
    share = np.array([sum(walk == drawn for drawn in walks) for walk in exact_process.walks(process)]) / len(walks)
    reward = np.array([move.reward for move in process[""].values()])
    from_reference = [exact_process.divergence(process, best_policy, reference)[""]]
    for alpha in (0.01, 0.03, 0.1):
        value, policy = train_tables(process, walks, reference, updates=100, alpha=alpha, beta=beta)
        log_prob = np.array(list(policy.values()))
        ratio = log_prob - np.array(list(reference.values()))
        kl = float((np.exp(log_prob) * ratio).sum())
        assert value[""] == pytest.approx((share * (reward - beta * ratio)).sum(), abs=1e-8)
        residual = value[""] - reward + beta * ratio
        pull = 2 * beta * share * residual + alpha * np.exp(log_prob) * (ratio - kl)
        np.testing.assert_allclose(pull, 0, atol=1e-8)
        from_reference.append(kl)
        told(f"α {alpha} β {beta}, against the optimum without", {"V": abs(value[""] - best[""]), "KL to π_ref": kl})
    assert from_reference == sorted(from_reference, reverse=True) and from_reference[-1] < from_reference[0] / 10


@pytest.mark.parametrize("level", ["token", "step", "response"])
def test_what_no_episode_shows_is_left_open_and_the_value_with_it(level: str) -> None:
    """No episode says "d". A policy that says it half the time wherever it can, and a value that is too high by
    −β log ½ for each such token, have no loss and no gradient: from there nothing leads to the optimum. α > 0 does,
    since its KL counts every token."""
    beta, process = 0.1, exact_process.tree()
    reference = exact_process.random_reference(process)
    shown = {
        state: {token: move for token, move in moves.items() if token != "d"}
        for state, moves in process.items()
        if "d" not in state
    }
    best, best_policy = exact_process.solve(shown, reference, beta)
    policy = Table(process, reference)
    value = Values(policy)
    depth = sum((2, 1))
    with torch.no_grad():
        for place, (state, token) in enumerate(policy.moves):
            if state in shown:
                policy.logits[place] = math.log(0.5) + (0.0 if token == "d" else best_policy[state, token])
        for place, state in enumerate(process):
            if state in shown:
                value.values[place] = best[state] - beta * math.log(0.5) * (depth - len(state))
    batch = laid_out(process, exact_process.walks(shown), policy.moves)
    for alpha in (0.0, 0.01):
        config = TrainConfig(level=level, beta=beta, alpha=alpha)
        for model in (policy, value):
            model.zero_grad()
        outcome = config.spec.loss(Update(config, policy, value), batch, in_one_piece(batch))
        outcome.loss.backward()
        assert policy.logits.grad is not None and value.values.grad is not None
        assert outcome.metrics["value_loss"] < 1e-25 and outcome.metrics["policy_loss"] < 1e-25
        assert value.values.grad.abs().max() < 1e-12
        assert bool(policy.logits.grad.abs().max() < 1e-12) == (alpha == 0)


# A transformer, from the environment to the folders that training leaves.


class SpeakerConfig(LlamaConfig):
    model_type = "speaker_of_the_exact_process"
    words: tuple[int, ...] = ()


class Speaker(LlamaForCausalLM):
    """A Llama whose tokens are those of the process: a word, then a word or the end, then the end.

    A model that could go on for longer, or say what no episode says, has states and tokens without data, and nothing
    says what is right there (see the test above).
    """

    config_class = SpeakerConfig

    def forward(self, input_ids: Tensor, **inputs: Any) -> Any:
        output = super().forward(input_ids=input_ids, **inputs)
        words = list(self.config.words)
        word = torch.isin(input_ids, torch.tensor(words))
        spoken = word.long() + (word & nn.functional.pad(word, (1, 0))[:, :-1])
        legal = torch.zeros_like(output.logits, dtype=torch.bool)
        legal[..., words] = (spoken < 2)[..., None]
        legal[..., self.config.eos_token_id] = spoken > 0
        output.logits = output.logits.masked_fill(~legal, -1e9)
        return output


AutoConfig.register(SpeakerConfig.model_type, SpeakerConfig)
AutoModelForCausalLM.register(SpeakerConfig, Speaker)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A random policy and a random body for the value, weights large enough that what they say differs by state."""
    folders = {}
    tokenizer = small_models.tokenizer()
    for seed, (name, config, kind) in enumerate(
        [("policy", SpeakerConfig, Speaker), ("value", LlamaConfig, LlamaForCausalLM)]
    ):
        torch.manual_seed(seed)
        shape = dict(vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
        model = kind(config(**shape, eos_token_id=tokenizer.eos_token_id, bos_token_id=None))
        if name == "policy":
            model.config.words = tokenizer("ab")["input_ids"]
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(4.0)
        folders[name] = tmp_path_factory.mktemp("start") / name
        save_model(model, tokenizer, folders[name])
    return folders


@pytest.fixture(scope="module")
def buffer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every episode, once, played by the expert."""
    folder = tmp_path_factory.mktemp("played") / "buffer"
    with TrajectoryBuffer(folder) as played:
        rollout(exact_process.Conversation, agent="expert", into=played)
    return folder


def read_out(policy: Path, value: Path | None) -> tuple[dict[str, float], dict[Any, float]]:
    """V and log π of the saved models in every state, from the episodes as training encodes them."""
    model, tokenizer = load_policy(policy)
    turn_format = TurnFormat.from_tokenizer(tokenizer)
    batch = collate(
        [turn_format.encode(trajectory) for trajectory in rollout(exact_process.Conversation, agent="expert")], 0
    )
    with torch.no_grad():
        log_prob, _, _ = Policy(model)(batch.input_ids, batch.action_mask)
        values = Value(load_value(value))(batch.input_ids, batch.action_mask) if value else torch.zeros_like(log_prob)
    learnt: tuple[dict[str, float], dict[Any, float]] = ({}, {})
    for walk, mask, *row in zip(
        exact_process.walks(exact_process.Conversation.process), batch.action_mask, log_prob, values, strict=True
    ):
        log_probs, numbers = (entries[mask].tolist() for entries in row)
        for (state, token), one, other in zip(walk, log_probs, numbers, strict=True):
            learnt[0][state], learnt[1][state, token] = other, one
    return learnt


@pytest.mark.filterwarnings("ignore:Speaker makes its logits in a way of its own")
@pytest.mark.parametrize(
    ("level", "beta", "packed", "updates", "value_within", "variation_within"),
    [
        ("token", 0.03, False, 400, 0.1, 0.2),
        ("step", 1.0, True, 300, 0.05, 0.01),
        pytest.param("response", 0.1, False, 300, 0.1, 0.05, marks=pytest.mark.slow),
    ],
)
def test_a_transformer_trained_on_a_buffer_reaches_the_closed_form(
    level: str,
    beta: float,
    packed: bool,
    updates: int,
    value_within: float,
    variation_within: float,
    start: dict[str, Path],
    buffer: Path,
    tmp_path: Path,
) -> None:
    """Its own starting distribution is π_ref of the dynamic programming. Distances as for the tables, which say how the
    levels and the numbers of β go together; here each has to arrive at the loss."""
    process = exact_process.Conversation.process
    _, reference = read_out(start["policy"], None)
    for state, moves in process.items():
        assert sum(math.exp(reference[state, token]) for token in moves) == pytest.approx(1, abs=1e-5)
    best = exact_process.solve(process, reference, beta)
    before = distances(process, best, (dict.fromkeys(process, 0.0), reference))
    settings: dict[str, Any] = dict(epochs=updates, batch_size=1000, lr=5e-3, value_lr=5e-3, alpha=0.0, save_every=0)
    settings |= {"level": level, "beta": beta, "packed": packed}
    result = train(
        buffer,
        method="oreo",
        model=start["policy"],
        value_model=str(start["value"]),
        output=tmp_path / "run",
        **settings,
    )
    assert result.value is not None
    after = distances(process, best, read_out(result.policy, result.value))
    told(f"transformer {level} β {beta}, before", before)
    told(f"transformer {level} β {beta}, after ", after)
    assert after["V"] < value_within < before["V"] and after["TV"] < variation_within
    assert after["TV mean"] < before["TV mean"] / 10 and after["V mean"] < before["V mean"] / 10
