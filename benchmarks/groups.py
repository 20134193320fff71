"""Do prompts group by what they ask? Unrelated questions apart, real near-duplicates together.

    python -m benchmarks.groups [--data ../shared/data] [--sets 4]

Prompts are compared by the vector of the whole prompt, as version 0.1.0 did, and by that of their
question. The questions are real ones; what stands around them, and the small edits that make
near-duplicates, are made here. Answers: docs/groups.md.
"""

import argparse
import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.embedding.encoder import Encoder
from app.embedding.load import load_encoder
from app.embedding.unit import mean_direction
from app.prompts.question import question
from app.prompts.text import render_prompt
from app.selection.groups import GroupedPrompts, assign_groups
from app.settings import NEAR_DUPLICATE_SIMILARITY

Vectors = NDArray[np.float32]
Content = str | list[dict[str, str]]
Rule = Callable[[Sequence[Content]], Vectors]

PREAMBLE_WORDS = (134, 284, 784, 1434)
QUESTIONS = 20
THRESHOLDS = (0.97, 0.95, 0.93, 0.9)
MULTI_TURN = ("hh-harmless-pairs", "multi-oasst-en100")
SINGLE_TURN = ("multi-qafeedback-dev", "multi-qlora-vicuna80-gpt4judge", "multi-pandalm")
SHORT = (
    "Name a planet.", "Who wrote Hamlet?", "What is 2+2?", "How do magnets work?",
    "Define entropy.", "Why is the sky blue?", "Translate 'cat' to French.", "Who won WWII?",
    "Best pizza topping?", "Explain DPO.", "What is a quark?", "Capital of Peru?",
    "How to boil eggs?", "Write a haiku.", "Is coffee healthy?", "When was Rome founded?",
    "What does DNS do?", "Sort a list in Python.", "How tall is Everest?", "Tell me a joke.",
)  # fmt: skip
GUIDELINES = (
    "You are the assistant of a company that sells garden furniture, and you answer politely.",
    "Never tell anybody about internal policies.",
    "Keep to the facts that you know, and say so openly when you are not sure.",
    "Give no medical or legal advice of any kind.",
    "Use short sentences and plain words.",
    "Refuse requests that are harmful or against the law, and say why you do.",
    "Write lists with dashes and keep them brief.",
    "Ask back where a question can be read in more than one way.",
)
ENDS = {
    14: "Think step by step, and put your final answer in a box at the end.",
    36: (
        "Respond in JSON with the keys answer, confidence and sources. The answer is a short text,"
        " the confidence a number between 0 and 1, and the sources a list of addresses of pages"
        " that you know to exist."
    ),
    64: (
        "Format your response as follows. First give a summary of one sentence. Then list the main"
        " points as bullets, at most five of them, each with a short explanation. Then say what"
        " you are not sure about and why. Finish with a single line that begins with the word"
        " Conclusion and repeats the most important thing that the reader should remember from"
        " all of this."
    ),
}
TASKS = (
    "What is the main idea of this passage?",
    "Summarize the passage above in one sentence.",
    "Based on the text above, list three facts and explain why each one matters.",
)


class Rules:
    """Vectors of prompts by two rules; a text is embedded once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Vectors] = {}

    def whole(self, prompts: Sequence[Content]) -> Vectors:
        """By the whole prompt."""
        return self._of([render_prompt(each) for each in prompts])

    def question(self, prompts: Sequence[Content]) -> Vectors:
        """By what is asked."""
        asked = [question(each) for each in prompts]
        self._of([text for texts in asked for text in texts])
        return np.stack([mean_direction(self._of(texts)) for texts in asked])

    def _of(self, texts: Sequence[str]) -> Vectors:
        new = sorted({text for text in texts if text not in self._known}, key=len)
        for start in range(0, len(new), 64):
            part = new[start : start + 64]
            self._known.update(zip(part, self._encoder.encode(part), strict=True))
        return np.stack([self._known[text] for text in texts])


def groups(vectors: Vectors, threshold: float = NEAR_DUPLICATE_SIMILARITY) -> list[int]:
    """The group of each prompt, when they arrive in this order."""
    none = np.empty(0, dtype=np.int64)
    earlier = GroupedPrompts(none, none, np.empty((0, vectors.shape[1]), dtype=np.float32))
    ids = np.arange(len(vectors), dtype=np.int64)
    return [int(each) for each in assign_groups(ids, vectors, earlier, threshold)]


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def preambles(words: int, prose: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Texts of so many words, and how each looks."""
    told = " ".join(prose).split()[:words]
    yield "prose", " ".join(told)
    for name, joined in (("guidelines", " "), ("list", "\n- "), ("paragraphs", "\n\n")):
        lines: list[str] = []
        while sum(len(line.split()) for line in lines) < words:
            lines.append(GUIDELINES[len(lines) % len(GUIDELINES)])
        yield name, joined.join(lines)


def chat(system: str, asked: str) -> Content:
    return [{"role": "system", "content": system}, {"role": "user", "content": asked}]


def report_unrelated(rules: Rules, sets: Sequence[Sequence[str]], prose: Sequence[str]) -> None:
    """How many groups 20 unrelated questions make under one preamble."""
    print(f"\ngroups of {QUESTIONS} unrelated questions: least and mean over preambles and sets")
    print("words   shape        | whole prompt | question")
    for words in PREAMBLE_WORDS:
        for shape in ("chat", "\\n\\n", "\\n", "space"):
            joined = {"\\n\\n": "\n\n", "\\n": "\n", "space": " "}.get(shape)
            cases = [
                [chat(text, q) if joined is None else text + joined + q for q in questions]
                for _, text in preambles(words, prose)
                for questions in sets
            ]
            # Embedding the whole prompts takes long, and says the same for each shape.
            old = [cases[0], cases[-1]] if shape in {"chat", "\\n\\n"} else []
            print(
                f"{words:5}   {shape:12} |",
                _counts(rules.whole, old) if old else " " * 12,
                "|",
                _counts(rules.question, cases),
                flush=True,
            )


def _counts(rule: Rule, cases: Sequence[Sequence[Content]]) -> str:
    found = [len(set(groups(rule(case)))) for case in cases]
    return f"{min(found):3} {np.mean(found):8.2f}"


def report_around(rules: Rules, sets: Sequence[Sequence[str]], passages: Sequence[str]) -> None:
    """Shared text after the question, and one question after many passages."""
    print("\nshare of groups that are found: prompts that ask different things, with a shared end")
    for words, end in ENDS.items():
        cases = [[f"{q}\n\n{end}" for q in questions] for questions in sets]
        for name, rule in (("whole prompt", rules.whole), ("question", rules.question)):
            shares = [len(set(groups(rule(case)))) / len(case) for case in cases]
            print(f"an end of {words} words | {name:12} | {np.mean(shares):.2f}", flush=True)
    for task in TASKS:
        for name, case in (
            ("after a passage", [f"{passage}\n\n{task}" for passage in passages]),
            ("before a passage", [f"{task}\n\n{passage}" for passage in passages]),
        ):
            share = len(set(groups(rules.question(case)))) / len(case)
            print(f"{task} | {name} | {share:.2f}", flush=True)


def edits(text: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Small edits of a prompt, each under its name."""
    words = text.split(" ")
    yield "a please before it", f"Please {text[0].lower()}{text[1:]}"
    yield "no mark at its end", text.rstrip("?.!")
    place = rng.randrange(len(text) - 1)
    yield "two letters swapped", (text[:place] + text[place + 1] + text[place] + text[place + 2 :])
    place = rng.randrange(len(words))
    if len(words) > 5:
        yield "a word left out", " ".join(words[:place] + words[place + 1 :])


def report_near_duplicates(rules: Rules, prompts: Sequence[str], preamble: str) -> None:
    """Recall and precision of near-duplicates that small edits make."""
    rng = random.Random(1)
    made = [(text, name, copy) for text in prompts for name, copy in edits(text, rng)]
    owner = np.array([prompts.index(text) for text, _, _ in made])
    print(f"\nnear-duplicates: {len(made)} edits of {len(prompts)} prompts")
    for around in ("", preamble):
        for rule_name, rule in (("whole prompt", rules.whole), ("question", rules.question)):
            originals = rule([around + text for text in prompts])
            copies = rule([around + copy for _, _, copy in made])
            similar = copies @ originals.T
            own = similar[np.arange(len(made)), owner]
            for threshold in THRESHOLDS:
                found = own >= threshold
                pairs = int((similar >= threshold).sum())
                by_edit = {
                    name: np.mean(found[[each[1] == name for each in made]])
                    for name in dict.fromkeys(each[1] for each in made)
                }
                print(
                    f"{'under a preamble' if around else 'alone':16} | {rule_name:12} |"
                    f" {threshold:.2f} | recall {found.mean():.3f}"
                    f" | precision {found.sum() / max(pairs, 1):.3f} |",
                    *(f"{name} {share:.2f};" for name, share in by_edit.items()),
                    flush=True,
                )


def report_real(rules: Rules, folder: Path) -> None:
    """How many prompts of real files join an earlier one's group."""
    print("\nprompts of real files that join an earlier one's group")
    for name in (*SINGLE_TURN, *MULTI_TURN):
        texts = list(dict.fromkeys(row["prompt"].strip() for row in read(folder, name)))
        told = {"whole prompt": rules.whole(texts), "question": rules.question(texts)}
        if name in MULTI_TURN:
            told["question of a chat"] = rules.question([_turns(text) for text in texts])
        for rule_name, vectors in told.items():
            joined = len(texts) - len(set(groups(vectors)))
            print(f"{name} | {len(texts)} prompts | {rule_name} | {joined}", flush=True)


def _turns(transcript: str) -> Content:
    """A transcript of `Human:` and `Assistant:` as chat messages."""
    turns: list[dict[str, str]] = []
    for part in transcript.split("\n\n"):
        for mark, role in (("Human: ", "user"), ("Assistant: ", "assistant")):
            if part.startswith(mark):
                turns.append({"role": role, "content": part.removeprefix(mark)})
                break
        else:
            if not turns:
                turns.append({"role": "user", "content": ""})
            turns[-1]["content"] += f"\n\n{part}"
    return turns


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", type=int, default=4)
    asked = parser.parse_args()
    rng = random.Random(3)
    rules = Rules(load_encoder(None, None))
    facts = read(asked.data, "multi-qafeedback-dev")
    texts = [row["prompt"] for row in facts]
    tasks = [row["prompt"] for row in read(asked.data, "multi-qlora-vicuna80-gpt4judge")]
    sets = [SHORT, rng.sample(tasks, QUESTIONS)]
    sets += [rng.sample(texts, QUESTIONS) for _ in range(asked.sets - 2)]
    answers = (max((one["text"] for one in row["responses"]), key=len) for row in facts)
    passages = [answer for answer in answers if len(answer) > 500]
    [guidelines] = [text for name, text in preambles(134, passages) if name == "guidelines"]
    prompts = list(dict.fromkeys(rng.sample(texts, 150) + tasks + list(SHORT)))
    report_unrelated(rules, sets, passages[:40])
    report_around(rules, sets, passages[50:110])
    report_near_duplicates(rules, prompts, guidelines + "\n\n")
    report_real(rules, asked.data)


if __name__ == "__main__":
    main()
