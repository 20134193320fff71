"""The papers' losses, as `train` has them, on exported files.

The policy is the smallest there is: one logit for each byte, so log π(y) = Σ log softmax(w)[byte].
What is proved is the data: that a loss falls when it is trained, that it moves chosen against
rejected the right way, and that weights, goals and masks do what the formula says.
"""

import difflib
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest
import torch
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from torch import Tensor
from torch.nn.functional import logsigmoid

from app.training.losses import bmc as losses_bmc
from app.training.losses import dlma as losses_dlma
from app.training.losses import optune as losses_optune
from app.training.losses import pro as losses_pro
from app.training.losses import selm as losses_selm
from tests.exports.dataset import add_label, add_pair, add_project, add_prompt

Row = dict[str, Any]
Loss = Callable[[Tensor, Row], Tensor]
BETA = 0.5
TEXTS = ["excellent answer", "middling reply", "poor one", "our own words"]


@pytest.fixture
async def project(
    sessions: async_sessionmaker[AsyncSession], client: httpx.AsyncClient
) -> httpx.AsyncClient:
    """A client of a project ``p`` with everything that a recipe needs."""
    async with sessions.begin() as session:
        project_id = await add_project(session, "p")
        for number in range(4):
            prompt, responses = await add_prompt(session, project_id, f"q{number}", TEXTS)
            responses[3].reference = True
            for place, response in enumerate(responses):
                response.response_metadata = {
                    "logprob_safe": -10.0 - place,
                    "logprob_unsafe": -14.0 + place,
                }
            for winner, loser in ((0, 1), (1, 2), (0, 2)):
                pair = await add_pair(session, prompt, responses[winner], responses[loser])
                await add_label(session, pair, responses[winner], edited=f"{TEXTS[winner]} edited!")
                if (number + winner) % 2:
                    await add_label(session, pair, responses[winner], annotator="bo")
    return client


async def _rows(client: httpx.AsyncClient, recipe: str) -> list[Row]:
    answer = await client.get(f"/exports/{recipe}?project=p")
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


def token_log_probabilities(policy: Tensor, text: str) -> Tensor:
    return torch.log_softmax(policy, dim=0)[torch.tensor(list(text.encode()))]


def log_probability(policy: Tensor, text: str) -> Tensor:
    return token_log_probabilities(policy, text).sum()


def log_ratio(policy: Tensor, text: str) -> Tensor:
    """log π(y|x)/π_ref(y|x); the reference policy is the untrained one."""
    return log_probability(policy, text) - log_probability(torch.zeros(256), text)


def margin(policy: Tensor, row: Row) -> Tensor:
    return BETA * (log_ratio(policy, row["chosen"]) - log_ratio(policy, row["rejected"]))


def train(loss: Loss, rows: list[Row], steps: int = 30) -> tuple[Tensor, list[float]]:
    """Gradient descent on the mean of a loss: the policy, and the loss before each step."""
    policy = torch.zeros(256, requires_grad=True)
    losses = []
    for _ in range(steps):
        mean = torch.stack([loss(policy, row) for row in rows]).mean()
        (slope,) = torch.autograd.grad(mean, policy)
        losses.append(float(mean.detach()))
        policy = (policy - 0.02 * slope).detach().requires_grad_()
    return policy.detach(), losses


def assert_falls(losses: list[float]) -> None:
    assert losses[-1] < losses[0]
    assert sum(later < earlier for earlier, later in pairwise(losses)) > 20


def dpo(policy: Tensor, row: Row) -> Tensor:
    return -logsigmoid(margin(policy, row))


def rdo(policy: Tensor, row: Row) -> Tensor:
    return dpo(policy, row) * float(row["weight"])


def optune(policy: Tensor, row: Row) -> Tensor:
    return losses_optune.optune(margin(policy, row), torch.tensor(row["reward_gap"]))


def self_exploring(policy: Tensor, row: Row) -> Tensor:
    ratio = log_ratio(policy, row["reference_response"])
    return losses_selm.optimistic(margin(policy, row), ratio, alpha=0.001, beta=BETA)


def contrastive(policy: Tensor, row: Row) -> Tensor:
    given = torch.tensor(row["margin"])
    return losses_dlma.contrastive(margin(policy, row), given, beta=BETA, share=0.2, limit=40.0)


@pytest.mark.parametrize(
    ("recipe", "loss"),
    [
        ("dpo", dpo),
        ("rdo", rdo),
        ("optune", optune),
        ("self-exploring", self_exploring),
        ("contrastive", contrastive),
    ],
)
async def test_a_pair_loss_falls_and_prefers_the_chosen(
    project: httpx.AsyncClient, recipe: str, loss: Loss
) -> None:
    rows = await _rows(project, recipe)

    policy, losses = train(loss, rows)

    assert len(rows) == 12
    assert_falls(losses)
    assert all(margin(policy, row) > 0 for row in rows)


async def test_selm_moves_away_from_what_the_reference_policy_says(
    project: httpx.AsyncClient,
) -> None:
    rows = await _rows(project, "self-exploring")

    def slope(loss: Loss, row: Row) -> float:
        """How the log-probability of the reference response moves under one step."""
        policy = torch.zeros(256, requires_grad=True)
        (step,) = torch.autograd.grad(loss(policy, row), policy)
        (towards,) = torch.autograd.grad(log_probability(policy, row["reference_response"]), policy)
        return float(-step @ towards)

    for row in rows:
        assert row["reference_response"] == TEXTS[3]
        assert slope(self_exploring, row) < slope(dpo, row)


async def test_rdo_moves_a_wide_difference_more_than_a_narrow_one(
    project: httpx.AsyncClient,
) -> None:
    rows = sorted(await _rows(project, "rdo"), key=lambda row: float(row["weight"]))
    assert rows[0]["weight"] < 1 < rows[-1]["weight"]
    assert sum(row["weight"] for row in rows) / len(rows) == pytest.approx(1)

    def slope(row: Row, weight: float) -> Tensor:
        policy = torch.zeros(256, requires_grad=True)
        (found,) = torch.autograd.grad(rdo(policy, row | {"weight": weight}), policy)
        return found

    for row in rows:
        weighted, plain = slope(row, row["weight"]), slope(row, 1.0)
        assert plain.abs().max() > 0.1
        assert torch.allclose(weighted, row["weight"] * plain, atol=1e-5)


async def test_reward_augmented_pairs_are_right_by_the_goal_conditioned_reward(
    project: httpx.AsyncClient,
) -> None:
    rows = await _rows(project, "reward-augmented")
    score = {}
    for row in rows:
        prompt = row["prompt"].rpartition("user: ")[2]
        score[prompt, row["chosen"]] = row["overall_score_chosen"]
        score[prompt, row["rejected"]] = row["overall_score_rejected"]

    assert rows
    for row in rows:
        prompt = row["prompt"].rpartition("user: ")[2]
        goal = float(row["prompt"].partition("highest): ")[2].split(".\n")[0])
        values = [-((goal - score[prompt, row[side]]) ** 2) for side in ("chosen", "rejected")]
        assert values[0] > values[1]

    # Two policies, told apart by the goal: above the mean, and below it.
    for is_high, better in ((True, TEXTS[0]), (False, TEXTS[2])):
        own = [row for row in rows if (row["overall_score_chosen"] > 5.5) is is_high]
        extremes = [row for row in own if {row["chosen"], row["rejected"]} == {TEXTS[0], TEXTS[2]}]
        policy, losses = train(dpo, extremes)
        assert_falls(losses)
        worse = TEXTS[2] if is_high else TEXTS[0]
        assert log_ratio(policy, better) > log_ratio(policy, worse)


def pro(policy: Tensor, row: Row) -> Tensor:
    tokens = [token_log_probabilities(policy, text) for text in row["suffix"]]
    means = torch.stack([each.mean() for each in tokens])[None]
    sums = torch.stack([each.sum() for each in tokens])[None]
    rewards, present = torch.tensor([row["reward"]]), torch.ones_like(means).bool()
    ranked = losses_pro.ranking(means, rewards, present)
    return (ranked + 0.0005 * losses_pro.supervised(sums, present))[0]


async def test_pro_ranks_as_the_file_does(project: httpx.AsyncClient) -> None:
    rows = await _rows(project, "ranking")

    policy, losses = train(pro, rows)

    assert_falls(losses)
    for row in rows:
        assert row["suffix"] == TEXTS[:3]
        assert len(row["prefix"]) == len(row["suffix"]) == len(row["reward"])
        first, *_, last = [
            float(token_log_probabilities(policy, text).mean()) for text in row["suffix"]
        ]
        assert first > last


def bmc(policy: Tensor, row: Row) -> Tensor:
    """A token is a byte; δ is 2."""
    texts = [row[side].encode() for side in ("chosen", "rejected")]
    sides = []
    for side, mask in zip(("chosen", "rejected"), losses_bmc.differing(*texts), strict=True):
        tokens = token_log_probabilities(policy, row[side])
        before = token_log_probabilities(torch.zeros(256), row[side])
        differs = torch.tensor(mask)
        weighted = tokens * losses_bmc.token_weights(tokens, differs, delta=2.0)
        reference = before * losses_bmc.token_weights(before, differs, delta=2.0)
        sides.append((weighted - reference).sum())
    return -logsigmoid(BETA * (sides[0] - sides[1]))


async def test_bmc_weighs_the_edit_and_nothing_else(project: httpx.AsyncClient) -> None:
    rows = await _rows(project, "bridged")

    policy, losses = train(bmc, rows)

    assert_falls(losses)
    for row in rows:
        assert row["chosen"] == f"{row['rejected']} edited!"
        assert log_ratio(policy, " edited!") > 0
        shared = difflib.SequenceMatcher(None, row["chosen"], row["rejected"], autojunk=False)
        assert shared.find_longest_match().size == len(row["rejected"])


def kto(policy: Tensor, row: Row) -> Tensor:
    reward = BETA * log_ratio(policy, row["completion"])
    return 1 - torch.sigmoid(reward if row["label"] else -reward)


async def test_kto_raises_the_desirable_over_the_undesirable(project: httpx.AsyncClient) -> None:
    rows = await _rows(project, "kto")

    policy, losses = train(kto, rows)

    assert {(row["completion"], row["label"]) for row in rows} == {
        (TEXTS[0], True),
        (TEXTS[2], False),
    }
    assert_falls(losses)
    assert log_ratio(policy, TEXTS[0]) > log_ratio(policy, TEXTS[2])


@pytest.mark.parametrize("recipe", ["reward", "openrlhf"])
async def test_a_reward_model_learns_to_leave_the_margin(
    project: httpx.AsyncClient, recipe: str
) -> None:
    rows = await _rows(project, recipe)

    def reward_model(scores: Tensor, row: Row) -> Tensor:
        value = {side: scores[torch.tensor(list(row[side].encode()))].sum() for side in row_sides}
        return -logsigmoid(value["chosen"] - value["rejected"] - row["margin"])

    row_sides = ("chosen", "rejected")
    scores, losses = train(reward_model, rows)

    assert_falls(losses)
    assert all(row["margin"] > 0 for row in rows)
    for row in rows:
        value = [float(scores[torch.tensor(list(row[side].encode()))].sum()) for side in row_sides]
        assert value[0] > value[1]
