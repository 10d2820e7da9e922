"""oreo.training.losses against the formulas written out with loops, in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from oreo.errors import UsageError
from oreo.training.losses import merge_steps, nll_loss, policy_loss, trajectory_mean, value_loss

BETA = 0.3


def batch(seed: int = 0, rows: int = 5, length: int = 17) -> dict[str, Tensor]:
    """Random tensors whose masks look like episodes: a prompt, then turns of several tokens and observations."""
    random = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 3, (rows, length), generator=random)
    mask = kind > 0
    mask[:, 0] = False
    mask[:, 3] = True
    previous = torch.cat([torch.zeros(rows, 1, dtype=torch.bool), mask[:, :-1]], dim=1)
    step_start = mask & (~previous | (kind == 2))
    draw = [torch.randn(rows, length, generator=random, dtype=torch.float64) for _ in range(3)]
    return dict(value=draw[0], log_ratio=draw[1], reward=draw[2], action_mask=mask, step_start=step_start)


def without_steps(data: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in data.items() if name != "step_start"}


def written_out(data: dict[str, Tensor], which: str) -> float:
    """Equations (8), (9), the step level and (10), one sum at a time."""
    rows = []
    for value, ratio, reward, mask, starts in zip(
        *(data[k].tolist() for k in ("value", "log_ratio", "reward", "action_mask", "step_start")), strict=True
    ):
        action = [t for t, is_action in enumerate(mask) if is_action]
        states = {"response": action[:1], "step": [t for t in action if starts[t]]}.get(which, action)
        errors = []
        for t in states:
            later = [i for i in action if i >= t]
            errors.append((value[t] - sum(reward[i] for i in later) + BETA * sum(ratio[i] for i in later)) ** 2)
        rows.append(sum(errors) / len(errors))
    return sum(rows) / len(rows)


def loss_of(data: dict[str, Tensor], which: str) -> Tensor:
    if which == "value":
        return value_loss(**without_steps(data), beta=BETA)[0]
    return policy_loss(**data, beta=BETA, level=which)[0]


LOSSES = ("value", "token", "step", "response")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("which", LOSSES)
def test_equals_the_formula_written_out(which: str, seed: int) -> None:
    data = batch(seed)
    assert loss_of(data, which).item() == pytest.approx(written_out(data, which), rel=1e-12)


@pytest.mark.parametrize("which", LOSSES)
def test_padding_on_either_side_changes_nothing_whatever_it_holds(which: str) -> None:
    data = batch()
    plain = loss_of(data, which)
    for junk in (0.0, math.nan, math.inf):
        for before, after in ((3, 0), (0, 4), (2, 5)):
            padded = {
                name: torch.nn.functional.pad(x.double(), (before, after), value=0.0 if x.dtype == torch.bool else junk)
                for name, x in data.items()
            }
            padded = {k: x.bool() if data[k].dtype == torch.bool else x.requires_grad_() for k, x in padded.items()}
            loss = loss_of(padded, which)
            torch.testing.assert_close(loss, plain)
            loss.backward()
            for name in ("value", "log_ratio"):
                if padded[name].grad is not None:
                    assert torch.isfinite(padded[name].grad).all()
                    assert (padded[name].grad[~padded["action_mask"]] == 0).all()


@pytest.mark.parametrize("which", LOSSES)
def test_what_stands_at_observation_tokens_does_not_matter(which: str) -> None:
    data = batch()
    plain = loss_of(data, which)
    for name in ("value", "log_ratio", "reward"):
        data[name] = torch.where(data["action_mask"], data[name], math.nan)
    torch.testing.assert_close(loss_of(data, which), plain)


def test_value_loss_gives_no_gradient_to_the_policy() -> None:
    data = batch()
    data["value"].requires_grad_()
    data["log_ratio"].requires_grad_()
    loss_of(data, "value").backward()
    assert data["log_ratio"].grad is None
    # 2 · residual / T / B at every action token.
    residual = residuals(data)
    weight = data["action_mask"] / data["action_mask"].sum(1, keepdim=True) / len(residual)
    torch.testing.assert_close(data["value"].grad, 2 * residual * weight)


def residuals(data: dict[str, Tensor]) -> Tensor:
    """V(s_t) − R_t + β Σ_{i≥t} ρ_i at action tokens, 0 elsewhere."""
    mask, value = data["action_mask"], data["value"].detach()
    total = torch.zeros_like(value)
    for row in range(len(value)):
        for t in range(value.shape[1]):
            for i in range(t, value.shape[1]):
                if mask[row, t] and mask[row, i]:
                    total[row, t] += BETA * data["log_ratio"].detach()[row, i] - data["reward"][row, i]
    return torch.where(mask, value + total, 0.0)


@pytest.mark.parametrize("level", ["token", "step", "response"])
def test_policy_loss_gives_no_gradient_to_the_value_and_the_right_one_to_each_log_ratio(level: str) -> None:
    data = batch(1)
    data["value"].requires_grad_()
    data["log_ratio"].requires_grad_()
    loss_of(data, level).backward()
    assert data["value"].grad is None
    residual, mask, starts = residuals(data), data["action_mask"], data["step_start"]
    expected = torch.zeros_like(residual)
    for row in range(len(residual)):
        action = [t for t in range(residual.shape[1]) if mask[row, t]]
        own = action[0]
        for t in action:
            if level == "token" or (level == "step" and starts[row, t]):
                own = t
            states = {"token": len(action), "step": int((starts & mask)[row].sum()), "response": 1}[level]
            expected[row, t] = 2 * BETA * residual[row, own] / states / len(residual)
    torch.testing.assert_close(data["log_ratio"].grad, expected)


@pytest.mark.parametrize("which", LOSSES)
def test_a_residual_of_zero_everywhere_has_no_loss_and_no_gradient(which: str) -> None:
    data = batch(2)
    data["value"] = data["value"] - residuals(data)
    data["value"].requires_grad_()
    data["log_ratio"].requires_grad_()
    loss = loss_of(data, which)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-25)
    for name in ("value", "log_ratio"):
        if data[name].grad is not None:
            torch.testing.assert_close(data[name].grad, torch.zeros_like(data[name]), atol=1e-12, rtol=0)


def test_a_two_step_episode_worked_out_by_hand() -> None:
    # prompt | a0 a1 | observation | a2, β = 0.5, paid 1 on the last token.
    data = dict(
        value=torch.tensor([[9.0, 0.5, 0.25, 9.0, 0.75]]),
        log_ratio=torch.tensor([[9.0, 0.2, -0.4, 9.0, 0.6]]),
        reward=torch.tensor([[9.0, 0.0, 0.0, 9.0, 1.0]]),
        action_mask=torch.tensor([[False, True, True, False, True]]),
    )
    starts = torch.tensor([[False, True, False, False, True]])
    # Residuals: 0.5 − 1 + 0.5·0.4 = −0.3;  0.25 − 1 + 0.5·0.2 = −0.65;  0.75 − 1 + 0.5·0.6 = 0.05.
    squares = [0.09, 0.4225, 0.0025]
    assert value_loss(**data, beta=0.5)[0].item() == pytest.approx(sum(squares) / 3)
    assert policy_loss(**data, beta=0.5)[0].item() == pytest.approx(sum(squares) / 3)
    step = policy_loss(**data, beta=0.5, level="step", step_start=starts)[0]
    assert step.item() == pytest.approx((squares[0] + squares[2]) / 2)
    assert policy_loss(**data, beta=0.5, level="response")[0].item() == pytest.approx(squares[0])


def test_long_trajectories_weigh_no_more_than_short_ones() -> None:
    mask = torch.tensor([[True] * 8, [True] + [False] * 7])
    zero = torch.zeros(2, 8)
    value = torch.stack([torch.ones(8), torch.full((8,), 3.0)])
    assert value_loss(value, zero, zero, mask, beta=BETA)[0].item() == pytest.approx((1 + 9) / 2)


@pytest.mark.parametrize("which", LOSSES)
def test_a_row_without_actions_has_no_weight(which: str) -> None:
    data = batch(3)
    with_empty = {name: torch.cat([x, torch.zeros_like(x[:1])]) for name, x in data.items()}
    torch.testing.assert_close(loss_of(with_empty, which), loss_of(data, which))
    nothing = {name: torch.zeros_like(x) for name, x in data.items()}
    assert loss_of(nothing, which).item() == 0


def test_beta_zero_makes_the_value_loss_plain_regression_on_the_return() -> None:
    data = batch(4)
    data["value"] = torch.zeros_like(data["value"])
    assert value_loss(**without_steps(data), beta=0.0)[0].item() == pytest.approx(
        written_out({**data, "log_ratio": torch.zeros_like(data["log_ratio"])}, "value")
    )


def test_step_values_are_trained_by_the_same_loss_on_merged_steps() -> None:
    data = batch(5)
    ratio, reward, starts = merge_steps(data["log_ratio"], data["reward"], data["action_mask"], data["step_start"])
    loss = value_loss(data["value"], ratio, reward, starts, beta=BETA)[0]
    assert loss.item() == pytest.approx(written_out(data, "step"))


@pytest.mark.parametrize("which", LOSSES)
def test_half_precision_inputs_are_summed_in_float32(which: str) -> None:
    data = batch(6, length=400)
    halved = {k: x.bfloat16() if x.is_floating_point() else x for k, x in data.items()}
    loss = loss_of(halved, which)
    assert loss.dtype == torch.float32
    exact = {k: x.double() if x.is_floating_point() else x for k, x in halved.items()}
    assert loss.item() == pytest.approx(loss_of(exact, which).item(), rel=1e-5)


def test_nll_is_the_mean_over_marked_tokens() -> None:
    log_prob = torch.tensor([[math.nan, -1.0, -2.0], [-6.0, math.nan, math.nan]], requires_grad=True)
    mask = torch.tensor([[False, True, True], [True, False, False]])
    loss, metrics = nll_loss(log_prob, mask)
    loss.backward()
    assert loss.item() == pytest.approx(3.0) and metrics["nll"].item() == pytest.approx(3.0)
    torch.testing.assert_close(log_prob.grad, -mask.float() / 3)
    assert nll_loss(log_prob, torch.zeros_like(mask))[0].item() == 0


def test_metrics_are_detached_scalars() -> None:
    data = batch()
    data["value"].requires_grad_()
    data["log_ratio"].requires_grad_()
    for metrics in (value_loss(**without_steps(data), beta=BETA)[1], policy_loss(**data, beta=BETA)[1]):
        assert all(x.ndim == 0 and not x.requires_grad for x in metrics.values())


def test_integer_and_float_masks_mean_the_same() -> None:
    data = batch()
    for dtype in (torch.long, torch.float32):
        masks = {name: data[name].to(dtype) for name in ("action_mask", "step_start")}
        for which in LOSSES:
            torch.testing.assert_close(loss_of({**data, **masks}, which), loss_of(data, which))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(value=torch.zeros(4)), "batch, length"),
        (dict(log_ratio=torch.zeros(2, 5)), "batch, length"),
        (dict(value=torch.zeros(2, 4, dtype=torch.long)), "floating-point"),
        (dict(reward=torch.zeros(2, 4, dtype=torch.complex64)), "floating-point"),
    ],
)
def test_wrong_ranks_shapes_and_dtypes_are_named(change: dict[str, Tensor], message: str) -> None:
    data = {name: torch.zeros(2, 4) for name in ("value", "log_ratio", "reward")}
    data["action_mask"] = torch.ones(2, 4, dtype=torch.bool)
    for loss in (value_loss, policy_loss):
        with pytest.raises(UsageError, match=message):
            loss(**{**data, **change}, beta=BETA)


def test_wrong_options_are_named() -> None:
    data = batch()
    with pytest.raises(UsageError, match="token, step, response"):
        policy_loss(**data, beta=BETA, level="episode")
    with pytest.raises(UsageError, match="needs step_start"):
        policy_loss(**without_steps(data), beta=BETA, level="step")
    with pytest.raises(UsageError, match="beta"):
        value_loss(**without_steps(data), beta=-1.0)
    data["step_start"] = torch.zeros_like(data["step_start"])
    with pytest.raises(UsageError, match="first action token"):
        policy_loss(**data, beta=BETA, level="step")


# λ, and DQO.


def states_of(mask: list[bool], starts: list[bool], level: str) -> list[list[int]]:
    """The actions of one row, each as the positions of its tokens: the first is its state."""
    action = [t for t, is_action in enumerate(mask) if is_action]
    if level == "token":
        return [[t] for t in action]
    first = [t for t in action if starts[t]]
    return [[t for t in action if begin <= t < end] for begin, end in zip(first, [*first[1:], len(mask)], strict=True)]


def mixture_written_out(data: dict[str, Tensor], level: str, lambda_: float, gamma: float, gradient: str) -> Tensor:
    """1/T Σ_t ( V_t − (1−λ) Σ_n λ^{n−1} target^(n) )² from targets of n turns, one by one.

    `gradient` says what carries it. value: V_t. own: the action's own ρ. all: every ρ. (The sum over n is infinite;
    from the number of turns left on, all targets are equal.)
    """
    rows = []
    for row in range(len(data["value"])):
        value, ratio, reward = (data[name][row] for name in ("value", "log_ratio", "reward"))
        starts = data["step_start"][row].tolist()
        actions = states_of(data["action_mask"][row].tolist(), starts, level)
        v = [value[tokens[0]] for tokens in actions]
        rho = [sum(ratio[t] for t in tokens) for tokens in actions]
        paid = [sum(reward[t] for t in tokens) for tokens in actions]
        turn = [sum(starts[: tokens[0] + 1]) - 1 for tokens in actions]
        errors = []
        for t in range(len(actions)):

            def target(n: int, t: int = t, v: list = v, rho: list = rho, paid: list = paid, turn: list = turn) -> Any:
                total = torch.zeros((), dtype=torch.float64)
                for i in range(t, len(v)):
                    if turn[i] == turn[t] + n:
                        return total + gamma**n * v[i].detach()
                    free = gradient == "all" or (gradient == "own" and i == t)
                    gain = paid[i] - BETA * (rho[i] if free else rho[i].detach())
                    total = total + gamma ** (turn[i] - turn[t]) * gain
                return total

            turns_left = turn[-1] - turn[t] + 1
            mixed = sum((1 - lambda_) * lambda_ ** (n - 1) * target(n) for n in range(1, turns_left))
            mixed = mixed + lambda_ ** (turns_left - 1) * target(turns_left)
            errors.append(((v[t] if gradient == "value" else v[t].detach()) - mixed) ** 2)
        rows.append(sum(errors) / len(errors))
    return sum(rows) / len(rows)


def mixed_loss(data: dict[str, Tensor], level: str, lambda_: float, gamma: float, gradient: str) -> Tensor:
    if gradient == "value":
        return value_loss(**data, beta=BETA, lambda_=lambda_, gamma=gamma)[0]
    through_later = gradient == "all"
    return policy_loss(**data, beta=BETA, level=level, lambda_=lambda_, gamma=gamma, through_later=through_later)[0]


def gradients(loss: Tensor, data: dict[str, Tensor]) -> list[Tensor]:
    leaves = [data["value"], data["log_ratio"]]
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, gradients, strict=True)]


@pytest.mark.parametrize(
    ("lambda_", "gamma"), [(0.0, 1.0), (0.3, 0.5), (0.95, 1.0), (1.0, 1.0), (1.0, 0.9), (0.5, 0.0)]
)
@pytest.mark.parametrize(
    ("gradient", "level"), [("value", "token"), ("own", "token"), ("own", "step"), ("all", "token")]
)
def test_any_lambda_and_discount_is_the_mixture_of_n_turn_targets_written_out_and_so_is_its_gradient(
    gradient: str, level: str, lambda_: float, gamma: float
) -> None:
    for seed in range(2):
        data = batch(seed)
        for name in ("value", "log_ratio"):
            data[name].requires_grad_()
        ours, theirs = (f(data, level, lambda_, gamma, gradient) for f in (mixed_loss, mixture_written_out))
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
        for one, other in zip(gradients(ours, data), gradients(theirs, data), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


def test_a_discount_at_the_response_level_shrinks_what_later_turns_bring() -> None:
    data = batch(5)
    data["log_ratio"].requires_grad_()
    ours = policy_loss(**data, beta=BETA, level="response", gamma=0.7)[0]
    residuals = []
    for row in range(len(data["value"])):
        mask, starts = data["action_mask"][row], data["step_start"][row]
        turn = starts.cumsum(0) - 1
        gain = 0.7**turn * (data["reward"][row] - BETA * data["log_ratio"][row])
        residuals.append(data["value"][row][mask][0] - gain[mask].sum())
    theirs = torch.stack(residuals).square().mean()
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(*(torch.autograd.grad(x, [data["log_ratio"]]) for x in (ours, theirs)), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("lambda_", [0.0, 0.7])
@pytest.mark.parametrize("gradient", ["value", "own", "all"])
def test_with_any_lambda_padding_and_what_stands_off_the_mask_change_nothing(gradient: str, lambda_: float) -> None:
    data = batch(7)
    data["value"].requires_grad_()
    data["log_ratio"].requires_grad_()
    plain = mixed_loss(data, "step", lambda_, 0.9, gradient)
    expected = gradients(plain, data)
    junk = {
        name: x if x.dtype == torch.bool else torch.where(data["action_mask"], x.detach(), math.nan)
        for name, x in data.items()
    }
    padded = {
        name: torch.nn.functional.pad(x.double(), (3, 2), value=0.0 if x.dtype == torch.bool else math.nan)
        for name, x in junk.items()
    }
    padded = {name: x.bool() if data[name].dtype == torch.bool else x.requires_grad_() for name, x in padded.items()}
    loss = mixed_loss(padded, "step", lambda_, 0.9, gradient)
    torch.testing.assert_close(loss, plain)
    for ours, other in zip(gradients(loss, padded), expected, strict=True):
        torch.testing.assert_close(ours[:, 3:-2], other)


def test_consistency_over_one_turn_and_two_worked_out_by_hand() -> None:
    # prompt | a0 a0' | observation | a1 with V = 0.5, 0.75, 0.25, ρ = 0.2, 0.1, −0.4, β = 0.5, paid 0, 0.125 and 1.
    data = dict(
        value=torch.tensor([[9.0, 0.5, 0.75, 9.0, 0.25]]),
        log_ratio=torch.tensor([[9.0, 0.2, 0.1, 9.0, -0.4]]),
        reward=torch.tensor([[9.0, 0.0, 0.125, 9.0, 1.0]]),
        action_mask=torch.tensor([[False, True, True, False, True]]),
        step_start=torch.tensor([[False, True, False, False, True]]),
    )
    # λ = 0, to the next turn, also from inside this one: 0.5 − (−0.1 + 0.125 − 0.05 + 0.25) = 0.275,
    # 0.75 − (0.125 − 0.05 + 0.25) = 0.425, and 0.25 − (1 + 0.2) = −0.95.
    # Telescoped: 0.5 − (−0.025 + 1.2) = −0.675, 0.75 − (0.075 + 1.2) = −0.525, −0.95. Half-way: the mean of both.
    for lambda_, first, second in ((0.0, 0.275, 0.425), (0.5, -0.2, -0.05), (1.0, -0.675, -0.525)):
        expected = (first**2 + second**2 + 0.95**2) / 3
        for loss in (value_loss, policy_loss):
            assert loss(**data, beta=0.5, lambda_=lambda_)[0].item() == pytest.approx(expected)


@pytest.mark.parametrize("lambda_", [0.0, 0.6, 1.0])
def test_dqo_is_oreos_token_loss_whose_gradient_is_that_of_the_number_itself(lambda_: float) -> None:
    data = batch(8, rows=3, length=9)
    data["log_ratio"].requires_grad_()

    def loss(log_ratio: Tensor) -> Tensor:
        terms = {**data, "log_ratio": log_ratio}
        return policy_loss(**terms, beta=BETA, lambda_=lambda_, gamma=0.9, through_later=True)[0]

    dqo = loss(data["log_ratio"])
    assert dqo.item() == policy_loss(**data, beta=BETA, lambda_=lambda_, gamma=0.9)[0].item()
    [gradient] = torch.autograd.grad(dqo, data["log_ratio"])
    differences = torch.zeros_like(gradient)
    for row, t in data["action_mask"].nonzero().tolist():
        nudge = torch.zeros_like(gradient)
        nudge[row, t] = 1e-6
        with torch.no_grad():
            differences[row, t] = (loss(data["log_ratio"] + nudge) - loss(data["log_ratio"] - nudge)) / 2e-6
    torch.testing.assert_close(gradient, differences, rtol=1e-6, atol=1e-8)
    if lambda_:  # with 0, two turns' tokens of one still push one another, but no later turn's
        [oreo_] = torch.autograd.grad(policy_loss(**data, beta=BETA, lambda_=lambda_, gamma=0.9)[0], data["log_ratio"])
        assert not torch.allclose(gradient, oreo_)


@pytest.mark.parametrize("name", ["lambda_", "gamma"])
def test_lambda_and_gamma_outside_zero_to_one_or_without_steps_are_refused(name: str) -> None:
    data = batch()
    for loss in (policy_loss, value_loss):
        for wrong in (-0.1, 1.1, math.nan):
            with pytest.raises(UsageError, match=f"{name} is .* from 0 to 1"):
                loss(**data, beta=BETA, **{name: wrong})
        with pytest.raises(UsageError, match="need step_start"):
            loss(**without_steps(data), beta=BETA, **{name: 0.5})


def test_at_the_response_level_there_is_nothing_to_mix() -> None:
    data = batch()
    with pytest.raises(UsageError, match="nothing to mix"):
        policy_loss(**data, beta=BETA, level="response", lambda_=0.5)


def test_trajectory_mean_averages_rows_first() -> None:
    entries = torch.tensor([[1.0, 3.0, 100.0], [10.0, 100.0, 100.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert trajectory_mean(entries, mask).item() == 6.0
