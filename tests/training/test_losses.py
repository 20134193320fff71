"""Each loss against its formula in plain Python, in float64; its gradient, its sign."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from app.training.losses import aps, bmc, dlma, noise, optune, pro, selm, spo, ties

Numbers = Sequence[float]
Z = [-6.0, -1.5, -0.2, 0.0, 0.3, 1.0, 4.0, 30.0]


def tensor(values: object, *, slope: bool = False) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=slope)


def log_sigmoid(z: float) -> float:
    return -math.log1p(math.exp(-z)) if z > 0 else z - math.log1p(math.exp(z))


def assert_is(found: Tensor, expected: Numbers) -> None:
    assert found.dtype == torch.float64
    assert found.shape == (len(expected),)
    assert found.tolist() == pytest.approx(list(expected), rel=1e-12, abs=1e-12)


def test_optune_weighs_by_the_gap() -> None:
    gaps = [-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0]
    assert_is(
        optune.optune(tensor(Z), tensor(gaps)),
        [-1 / (1 + math.exp(-gap)) * log_sigmoid(z) for z, gap in zip(Z, gaps, strict=True)],
    )


def test_dlma_takes_a_fifth_of_the_margin_inside_beta() -> None:
    margins = [-100.0, -40.0, -3.0, 0.0, 5.0, 39.0, 41.0, 1e6]
    found = dlma.contrastive(tensor(Z), tensor(margins), beta=0.1, share=0.2, limit=40.0)
    cut = [max(-40.0, min(40.0, margin)) for margin in margins]
    assert_is(found, [-log_sigmoid(z - 0.1 * 0.2 * m) for z, m in zip(Z, cut, strict=True)])


def test_selm_punishes_what_the_reference_says() -> None:
    ratios = [-4.0, -3.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    found = selm.optimistic(tensor(Z), tensor(ratios), alpha=0.001, beta=0.01)
    assert_is(found, [-log_sigmoid(z) + 1e-5 * r for z, r in zip(Z, ratios, strict=True)])


CONFIDENCE = [0.3, 0.5, 0.51, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_cdpo_counts_a_label_both_ways() -> None:
    assert_is(
        noise.conservative(tensor(Z), tensor(CONFIDENCE)),
        [
            -p * log_sigmoid(z) - (1 - p) * log_sigmoid(-z)
            for z, p in zip(Z, CONFIDENCE, strict=True)
        ],
    )


def test_robust_dpo_is_unbiased_under_its_noise() -> None:
    epsilon = [min(1 - p, 0.45) for p in CONFIDENCE]
    found = noise.robust(tensor(Z), tensor(CONFIDENCE), highest_epsilon=0.45)
    assert_is(
        found,
        [
            (-(1 - e) * log_sigmoid(z) + e * log_sigmoid(-z)) / (1 - 2 * e)
            for z, e in zip(Z, epsilon, strict=True)
        ],
    )
    z, p = tensor(Z), tensor([0.8] * len(Z))
    # The mean over labels that are wrong with probability 0.2 is the loss of the right label.
    mean = 0.8 * noise.robust(z, p, highest_epsilon=0.45)
    mean = mean + 0.2 * noise.robust(-z, p, highest_epsilon=0.45)
    assert torch.allclose(mean, -torch.nn.functional.logsigmoid(z), atol=1e-12)


def test_soft_labels_ask_for_a_smaller_margin() -> None:
    assert_is(
        noise.geometric(tensor(Z), tensor(CONFIDENCE)),
        [-log_sigmoid((2 * p - 1) * z) for z, p in zip(Z, CONFIDENCE, strict=True)],
    )


def test_aps_finds_the_temperature_of_its_objective() -> None:
    rho, z = 0.1, 1.5
    tau = float(aps.scale(tensor([z]), rho=rho, lowest=0.1, highest=5.0))

    def objective(value: float) -> float:
        return -value * log_sigmoid(z / value) + value * (rho - math.log(2))

    grid = [0.1 + 0.001 * step for step in range(4901)]
    assert tau == pytest.approx(min(grid, key=objective), abs=0.01)
    expected = -tau * log_sigmoid(z / tau)
    assert_is(aps.adaptive(tensor([z]), rho=rho, lowest=0.1, highest=5.0), [expected])


def test_aps_takes_five_newton_steps_as_written() -> None:
    found = aps.scale(tensor(Z), rho=0.1, lowest=0.1, highest=5.0).tolist()
    for z, tau in zip(Z, found, strict=True):
        value = 1.0
        for _ in range(5):
            right = math.exp(log_sigmoid(z / value))
            g = -math.log(2) - log_sigmoid(z / value) + (1 - right) * z / value + 0.1
            h = max(z**2 / value**3 * right * (1 - right), 1e-6)
            value = max(0.1, min(5.0, value - g / h))
        assert tau == pytest.approx(value, rel=1e-9)


def test_aps_gives_no_gradient_to_the_temperature() -> None:
    z = tensor([0.7], slope=True)
    tau = aps.scale(z, rho=0.1, lowest=0.1, highest=5.0)
    assert not tau.requires_grad
    (slope,) = torch.autograd.grad(aps.adaptive(z, rho=0.1, lowest=0.1, highest=5.0).sum(), z)
    assert float(slope) == pytest.approx(-1 / (1 + math.exp(0.7 / float(tau))))


def test_ties_have_the_probabilities_of_both_models() -> None:
    for z in Z:
        won, tied = (
            float(torch.exp(-ties.rao_kupper(tensor([z]), tensor([tie]), nu=3.0)))
            for tie in (0.0, 1.0)
        )
        lost = float(torch.exp(-ties.rao_kupper(tensor([-z]), tensor([0.0]), nu=3.0)))
        assert won + tied + lost == pytest.approx(1)
        assert won == pytest.approx(1 / (1 + 3 * math.exp(-z)))
        won, tied = (
            float(torch.exp(-ties.davidson(tensor([z]), tensor([tie]), nu=1.0)))
            for tie in (0.0, 1.0)
        )
        lost = float(torch.exp(-ties.davidson(tensor([-z]), tensor([0.0]), nu=1.0)))
        assert won + tied + lost == pytest.approx(1)
        assert tied / math.sqrt(won * lost) == pytest.approx(2)  # Davidson's own law
    for model, nu in ((ties.rao_kupper, 3.0), (ties.davidson, 1.0)):
        even = model(tensor([0.0]), tensor([1.0]), nu=nu)
        assert float(torch.exp(-even)) == pytest.approx(0.5)


def test_bmc_weighs_the_tokens_that_differ() -> None:
    logs = tensor([[-0.1, -2.0, -5.0, 0.0]])
    weights = bmc.token_weights(logs, tensor([[0.0, 1.0, 1.0, 0.0]]), delta=3.0)
    assert weights[0].tolist() == pytest.approx([1.0, 1 + 3.0, 1 + 3.0, 1.0])
    weights = bmc.token_weights(logs, tensor([[1.0, 1.0, 0.0, 1.0]]), delta=3.0)
    assert weights[0].tolist() == pytest.approx([1 + math.exp(0.1), 4.0, 1.0, 2.0])
    logs.requires_grad_()
    assert not bmc.token_weights(logs, torch.ones(1, 4), delta=3.0).requires_grad


def test_bmc_finds_the_tokens_that_differ_but_for_stop_words() -> None:
    one, other = [1, 2, 3, 4, 9], [1, 7, 3, 4, 8, 9]
    assert bmc.differing(one, other) == ([0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0])
    assert bmc.differing(one, other, {7, 8}) == ([0, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0])
    assert bmc.differing([], [1]) == ([], [1])


def pro_of(scores: Numbers, rewards: Numbers) -> float:
    """The ranking term of one list, from the formula."""
    total = 0.0
    for k in range(len(scores) - 1):
        temperatures = [rewards[k] - reward for reward in rewards[k + 1 :]]
        own = math.exp(scores[k] * max(temperatures))
        others = sum(
            math.exp(score * temperature)
            for score, temperature in zip(scores[k + 1 :], temperatures, strict=True)
        )
        total -= math.log(own / (own + others))
    return total


LISTS = ([-1.0, -2.0, -0.5, -3.0], [-0.3, -0.4], [-2.0, -1.0, -1.5])
REWARDS = ([2.0, 1.0, 0.5, -1.0], [0.3, -0.3], [1.0, 0.9, 0.1])


def padded(lists: Sequence[Numbers], value: float) -> Tensor:
    longest = max(map(len, lists))
    return tensor([[*each, *[value] * (longest - len(each))] for each in lists])


@pytest.mark.parametrize("padding", [0.0, -50.0, 50.0])
def test_pro_ranks_lists_of_any_length(padding: float) -> None:
    present = padded([[1.0] * len(each) for each in LISTS], 0.0).bool()
    found = pro.ranking(padded(LISTS, padding), padded(REWARDS, padding), present)
    assert_is(found, [pro_of(s, r) for s, r in zip(LISTS, REWARDS, strict=True)])
    sums = padded([[10 * score for score in each] for each in LISTS], padding)
    assert_is(pro.supervised(sums, present), [9 * 10.0, 1 * 3.0, 4 * 20.0])


def test_padding_of_a_list_has_no_gradient() -> None:
    present = padded([[1.0] * len(each) for each in LISTS], 0.0).bool()
    means = padded(LISTS, 0.0).requires_grad_()
    pro.ranking(means, padded(REWARDS, 0.0), present).sum().backward()  # type: ignore[no-untyped-call]
    assert means.grad is not None
    assert torch.isfinite(means.grad).all()
    assert (means.grad[~present] == 0).all()
    assert (means.grad[:, 0] < 0).all()  # the best is raised
    assert (means.grad[torch.arange(3), tensor([3, 1, 2]).long()] > 0).all()  # the worst lowered


def test_the_degrees_are_told_apart_by_cross_entropy() -> None:
    logits = [[1.0, 0.0, -1.0], [0.5, 2.0, 0.0]]
    found = spo.degree_losses(tensor(logits), torch.tensor([0, 2]))
    expected = [
        math.log(sum(map(math.exp, row))) - row[degree]
        for row, degree in zip(logits, (0, 2), strict=True)
    ]
    assert_is(found, expected)


PAIR_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "optune": lambda z: optune.optune(z, tensor([0.5] * len(z))),
    "dlma": lambda z: dlma.contrastive(z, tensor([3.0] * len(z)), beta=0.1, share=0.2, limit=40),
    "selm": lambda z: selm.optimistic(z, 0 * z, alpha=0.001, beta=0.01),
    "cdpo": lambda z: noise.conservative(z, tensor([0.9] * len(z))),
    "robust": lambda z: noise.robust(z, tensor([0.9] * len(z)), highest_epsilon=0.45),
    "soft": lambda z: noise.geometric(z, tensor([0.9] * len(z))),
    "ties": lambda z: ties.rao_kupper(z, 0 * z, nu=3.0),
    "ties-davidson": lambda z: ties.davidson(z, 0 * z, nu=1.0),
}


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_gradients_are_right_and_raise_the_chosen(name: str) -> None:
    z = tensor([-3.0, -0.5, 0.0, 0.4, 2.0], slope=True)
    assert gradcheck(PAIR_LOSSES[name], (z,))
    (slope,) = torch.autograd.grad(PAIR_LOSSES[name](z).sum(), z)
    below = z < 1.9  # cDPO is satisfied where σ(z) is the confidence
    assert (slope[below] < 0).all()


@pytest.mark.parametrize("name", ["ties", "ties-davidson"])
def test_a_tie_pulls_both_together(name: str) -> None:
    model, nu = {"ties": (ties.rao_kupper, 3.0), "ties-davidson": (ties.davidson, 1.0)}[name]
    z = tensor([-2.0, 0.0, 2.0], slope=True)

    def tied(value: Tensor) -> Tensor:
        return model(value, torch.ones_like(value), nu=nu)

    assert gradcheck(tied, (z,))
    (slope,) = torch.autograd.grad(tied(z).sum(), z)
    assert slope[0] < 0
    assert slope[1] == pytest.approx(0)
    assert slope[2] > 0


def test_the_gradient_of_pro_is_right() -> None:
    present = padded([[1.0] * len(each) for each in LISTS], 0.0).bool()
    rewards = padded(REWARDS, 0.0)
    assert gradcheck(
        lambda means: pro.ranking(means, rewards, present), (padded(LISTS, 0.0).requires_grad_(),)
    )
