"""Two rounds of training on labels of what the model itself says: SELM, or OPTune.

annotation-budget serve                                             # in one terminal
python -m examples.small_model smollm2                              # once
ADMIN_KEY=$(annotation-budget key) \
    python -m examples.online_loop selm --model smollm2 --out loop  # in another

Each round samples responses from the model, sends them as a round of their own, answers the pairs
that the service asks for first, exports the pairs of this round, and trains the model that the next
round samples from. A rule stands in for your annotators: the shorter response is better.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

SAMPLE = Path(__file__).parents[1] / "qafeedback-50.ndjson"
RECIPES = {"selm": "self-exploring", "optune": "optune"}
AT_ONCE = 16

Responses = list[dict[str, Any]]


class Policy:
    """A language model that answers prompts."""

    def __init__(self, model: str, new_tokens: int) -> None:
        self.new_tokens = new_tokens
        self.tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).to(device)

    def say(self, prompts: Sequence[str], **sampling: Any) -> list[str]:
        """One response to each prompt."""
        said: list[str] = []
        for first in range(0, len(prompts), AT_ONCE):
            turns = [
                [{"role": "user", "content": each}] for each in prompts[first : first + AT_ONCE]
            ]
            asked = self.tokenizer.apply_chat_template(
                turns,
                add_generation_prompt=True,
                return_dict=True,
                return_tensors="pt",
                padding=True,
            ).to(self.model.device)
            with torch.inference_mode():
                whole = self.model.generate(
                    **asked,
                    max_new_tokens=self.new_tokens,
                    pad_token_id=self.tokenizer.pad_token_id,
                    **sampling,
                )
            new = whole[:, asked["input_ids"].shape[1] :]
            said += self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return said


def sample(policy: Policy, prompts: Sequence[str], of_round: int, samples: int) -> list[Responses]:
    """For each prompt what the policy says greedily, as the reference, and some samples."""
    torch.manual_seed(of_round)
    greedy = policy.say(prompts, do_sample=False)
    drawn = [
        policy.say(prompts, do_sample=True, temperature=1.0, top_p=0.9) for _ in range(samples)
    ]
    return [
        [
            {"text": text, "round": of_round, "reference": place == 0}
            for place, text in enumerate([greedy[number], *(each[number] for each in drawn)])
        ]
        for number in range(len(prompts))
    ]


def send(
    api: httpx.Client, project: str, prompts: dict[str, str], responses: list[Responses]
) -> None:
    """Send a round of responses: with new prompts, or for prompts that are there already.

    The service tells which responses it drops, because they are empty or said before.
    """
    stored = ids_of(api, project)
    for (name, prompt), its in zip(prompts.items(), responses, strict=True):
        if name in stored:
            sent = api.post(f"/prompts/{stored[name]}/responses", json={"responses": its})
        else:
            body = {"id": name, "prompt": prompt, "responses": its}
            sent = api.post("/prompts", params={"project": project}, json=body)
        if sent.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            print(f"left out, {sent.json()['detail']}: {prompt}", file=sys.stderr)
            continue
        sent.raise_for_status()
    while api.get(f"/projects/{project}").raise_for_status().json()["counts"]["pending_prompts"]:
        time.sleep(0.5)


def ids_of(api: httpx.Client, project: str) -> dict[str, str]:
    """The service's ids of the prompts, by ours."""
    listed = api.get("/prompts", params={"project": project, "limit": 1000}).raise_for_status()
    return {each["external_id"]: each["id"] for each in listed.json()["prompts"]}


def answer(api: httpx.Client, project: str, wanted: int) -> int:
    """Answer the pairs that come first, up to as many as wanted; gives how many."""
    answered = 0
    while answered < wanted:
        query: dict[str, Any] = {
            "project": project,
            "wait": 20,
            "budget": min(20, wanted - answered),
        }
        claim = api.get("/next-pairs", params=query).raise_for_status().json()
        if not claim["pairs"] and claim["status"] in {"exhausted", "complete"}:
            return answered
        labels = [judge(pair) for pair in claim["pairs"]]
        if labels:
            api.post("/labels", json={"labels": labels}).raise_for_status()
        answered += len(labels)
    return answered


def judge(pair: dict[str, Any]) -> dict[str, Any]:
    """The shorter response is better. Here your annotators would be asked, at the desk."""
    left, right = (len(pair[side]["text"]) for side in ("left", "right"))
    choice = "tie" if left == right else "left" if left < right else "right"
    return {"assignment_id": pair["assignment_id"], "choice": choice}


def command(*words: str) -> None:
    """Run `annotation-budget`."""
    subprocess.run([sys.executable, "-m", "app.cli", *words], check=True)  # noqa: S603 - all ours


def to_sample_again(service: Sequence[str], out: Path, share: float) -> list[str]:
    """OPTune: the prompts whose best response has the lowest reward, by the recipe `regenerate`."""
    command("export", "regenerate", "--metadata", "--out", str(out), *service)
    with out.open(encoding="utf-8") as lines:
        names = [json.loads(line)["prompt_external_id"] for line in lines]
    return names[: max(1, round(share * len(names)))]


def main() -> None:
    """Run the rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loss", choices=RECIPES)
    parser.add_argument("--model", required=True, help="the model of the first round")
    parser.add_argument("--out", type=Path, required=True, help="a folder for data and models")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", default=os.environ.get("ADMIN_KEY"))
    parser.add_argument("--project", default="online-loop")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--samples", type=int, default=2, help="beside the greedy response")
    parser.add_argument("--labels", type=int, default=20, help="a round")
    parser.add_argument("--share", type=float, default=0.5, help="OPTune: sampled again")
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--train", default="", help="more options of `train`")
    its = parser.parse_args()
    if not its.key:
        parser.error("give the admin key with --key or ADMIN_KEY (annotation-budget key shows it)")
    with SAMPLE.open(encoding="utf-8") as lines:
        known = {each["id"]: each["prompt"] for each in map(json.loads, lines)}
    prompts = dict(list(known.items())[: its.prompts])
    service = ["--project", its.project, "--url", its.url, "--key", its.key]
    model = its.model
    its.out.mkdir(parents=True, exist_ok=True)
    bearer = {"Authorization": f"Bearer {its.key}"}
    with httpx.Client(base_url=its.url, headers=bearer, timeout=120) as api:
        budget = {"limit": its.rounds * its.labels}
        api.post("/projects", json={"name": its.project, "budget": budget}).raise_for_status()
        for of_round in range(1, its.rounds + 1):
            folder = its.out / f"round-{of_round}"
            folder.mkdir()
            if of_round > 1 and its.loss == "optune":
                again = to_sample_again(service, folder / "regenerate.jsonl", its.share)
                prompts = {name: known[name] for name in again}
            policy = Policy(model, its.new_tokens)
            responses = sample(policy, list(prompts.values()), of_round, its.samples)
            del policy
            send(api, its.project, prompts, responses)
            answered = answer(api, its.project, its.labels)
            layout = ["--rounds", "latest", "--layout", "conversational", "--test-fraction", "0"]
            data, trained = str(folder / "data"), str(folder / "model")
            command("export", RECIPES[its.loss], "--out", data, *layout, *service)
            options = ["--data", data, "--model", model, "--out", trained, *its.train.split()]
            command("train", its.loss, *options)
            model = trained
            texts = [each["text"] for of_prompt in responses for each in of_prompt]
            length = sum(map(len, texts)) / len(texts)
            print(
                f"round {of_round}: {len(prompts)} prompts, {len(texts)} responses of"
                f" {length:.0f} characters, {answered} labels; the model is in {trained}",
                flush=True,
            )


if __name__ == "__main__":
    main()
