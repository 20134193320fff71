"""`simulate` and `strategies` on the command line."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.cli.__main__ import main
from app.cli.simulate.labelled_file import encode_file, read_labelled_file
from app.cli.simulate.vector_file import (
    Origin,
    digest_of,
    encode_and_keep,
    kept_beside,
    load_vectors,
    read_kept,
    write_vectors,
)
from app.selection.pair_grid import pair_columns
from app.selection.registry import STRATEGIES
from app.selection.simulation.world import FIRST, SECOND, TIE
from tests.selection.simulation.planted import planted_world
from tests.support.data import is_whole, real_file


def _exit_status(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    """A file of a planted world, gzipped, and its vectors."""
    world = planted_world(prompts=24, responses=4)
    lines, responses = [], []
    for number, prompt in enumerate(world.prompts):
        first, second = pair_columns(len(prompt.responses))
        votes = [
            {"a": f"r{first[column]}", "b": f"r{second[column]}", "winner": winner}
            for column, counts in enumerate(prompt.votes)
            for choice, winner in ((FIRST, "a"), (TIE, "tie"), (SECOND, "b"))
            for _ in range(counts[choice])
        ]
        texts = [{"id": f"r{place}", "text": f"{number} {place}"} for place in range(4)]
        line = {"prompt_id": f"p{number}", "prompt": "?", "responses": texts, "preferences": votes}
        lines.append(json.dumps(line))
        responses.append(prompt.responses)
    path, vectors = tmp_path / "labelled.jsonl.gz", tmp_path / "vectors.npz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    np.savez(
        vectors,
        prompts=np.stack([prompt.embedding for prompt in world.prompts]),
        responses=np.concatenate(responses),
    )
    return path, vectors


def test_strategies_are_listed_with_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_status("strategies") == 0

    lines = capsys.readouterr().out.splitlines()
    assert [tuple(line.split(maxsplit=1)) for line in lines] == [
        (name, strategy.description) for name, strategy in STRATEGIES.items()
    ]


def test_a_simulation_prints_a_table_and_writes_the_same_figures_for_the_same_seed(
    labelled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, vectors = labelled
    written = []
    for number in range(2):
        out = tmp_path / f"{number}.json"
        arguments = ["--strategies", "auto,similar", "--seeds", "3", "--processes", "1"]
        arguments += ["--embeddings", str(vectors), "--json", str(out)]
        assert _exit_status("simulate", str(path), *arguments) == 0
        written.append(out.read_bytes())

    assert written[0] == written[1]
    report = json.loads(written[0])
    names = {"random", "random, again", "random, vectors alone", "random, without style"}
    assert set(report["arms"]) == names | {"auto", "similar"}
    assert report["budgets"][-1] == 17 * 6 // 2
    for arm in report["arms"].values():
        assert set(arm) == {"accuracy", "log_loss"}
        for measured in arm.values():
            assert len(measured["values"]) == len(report["budgets"])
            assert all(0 <= each["low"] <= each["mean"] <= 1 for each in measured["values"])
    shown = capsys.readouterr()
    assert "24 prompts, 3 splits" in shown.out
    assert "UNINFORMATIVE" not in shown.out or not report["informative"]
    for name in names | {"auto", "similar"}:
        assert f"│ {name}" in shown.out
        assert f"\n{name}, at 25, 51 labels: accuracy 0." in shown.err
    assert "\nSimulating: 18 of 18\n" in shown.err


def test_budgets_end_where_they_are_told_to_and_pairs_can_get_more_labels(
    labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    path, vectors = labelled
    reports = {}
    for labels in ("1", "3"):
        out = tmp_path / f"{labels}.json"
        arguments = ["--strategies", "random", "--seeds", "2", "--processes", "1"]
        arguments += ["--most-labels", "50", "--labels-per-pair", labels]
        arguments += ["--embeddings", str(vectors), "--json", str(out)]
        assert _exit_status("simulate", str(path), *arguments) == 0
        reports[labels] = json.loads(out.read_bytes())

    assert [each["budgets"][-1] for each in reports.values()] == [50, 50]
    accuracy = {
        labels: [each["mean"] for each in report["arms"]["random"]["accuracy"]["values"]]
        for labels, report in reports.items()
    }
    assert accuracy["1"] != accuracy["3"]


def test_too_few_pairs_are_told_before_anything_is_embedded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "few.jsonl"
    line = {
        "prompt": "?",
        "responses": [{"id": "a", "text": "a"}, {"id": "b", "text": "b"}],
        "preferences": [{"a": "a", "b": "b", "winner": "a"}],
    }
    path.write_text("\n".join(json.dumps({**line, "prompt_id": f"p{n}"}) for n in range(9)))
    monkeypatch.setenv("EMBEDDING_MODEL", "no/such-model")

    assert _exit_status("simulate", str(path)) == 1

    assert "there are only" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_result_without_a_folder_is_told_before_the_work(
    option: str, labelled: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    path, vectors = labelled

    missing = str(path.parent / "missing" / "out.svg")
    assert _exit_status("simulate", str(path), "--embeddings", str(vectors), option, missing) == 1

    told = capsys.readouterr().err
    assert "there is no folder" in told
    assert "Simulating" not in told


class CountingEncoder:
    """Vectors that depend on the text, and how many texts were embedded."""

    name = "counting@1"

    def __init__(self) -> None:
        self.texts = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.texts += len(texts)
        seeds = [np.frombuffer(text.encode().ljust(4, b"."), np.uint8) for text in texts]
        rows = [np.random.default_rng(seed).standard_normal(8) for seed in seeds]
        return np.array(rows, dtype=np.float32)


def test_vectors_are_kept_beside_the_file_until_it_or_the_model_changes(
    labelled: tuple[Path, Path],
) -> None:
    path, _ = labelled
    encoder = CountingEncoder()

    def embed(model: str) -> int:
        before = encoder.texts
        file = read_labelled_file(path)
        vectors = encode_and_keep(path, file, encoder.encode, model, lambda _: None)
        assert len(vectors.responses) == 24
        return encoder.texts - before

    assert embed("one") > 24
    assert embed("one") == 0
    assert embed("other") > 24
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\n"))
    assert embed("other") > 24
    kept_beside(path).write_bytes(b"not an archive")
    assert embed("other") > 24
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "labelled.jsonl.gz",
        "labelled.jsonl.gz.vectors.npz",
        "vectors.npz",
    ]


def test_written_vectors_are_read_as_made_elsewhere_with_repeats_and_bad_lines(
    tmp_path: Path,
) -> None:
    path, out = tmp_path / "odd.jsonl", tmp_path / "vectors.npz"
    texts = ["one", "two", "one", " ", "three"]
    responses = [{"id": f"r{place}", "text": text} for place, text in enumerate(texts)]
    good = {"prompt_id": "p", "prompt": "which?", "responses": responses}
    path.write_text("{broken\n" + json.dumps(good) + "\n")
    encoder = CountingEncoder()
    file = read_labelled_file(path)
    vectors = encode_file(file, encoder.encode, lambda _: None)

    origin = Origin(digest_of(path), encoder.name)
    write_vectors(out, file, vectors, encoder.encode([""])[0], origin)

    with np.load(out) as arrays:
        assert arrays["responses"].shape == (5, 8)
        assert str(arrays["model"]) == encoder.name
    for found in (load_vectors(file, out), read_kept(out, file, origin)):
        assert found is not None
        unit = vectors.responses[0] / np.linalg.norm(vectors.responses[0], axis=1, keepdims=True)
        np.testing.assert_allclose(found.responses[0], unit, atol=1e-6)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_plot_is_drawn_and_the_same_each_time(
    suffix: str, labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    path, vectors = labelled
    drawn = []
    for number in range(2):
        plot = tmp_path / f"{number}.{suffix}"
        arguments = ["--strategies", "similar", "--seeds", "2", "--processes", "1"]
        arguments += ["--embeddings", str(vectors), "--plot", str(plot)]
        assert _exit_status("simulate", str(path), *arguments) == 0
        drawn.append(plot.read_bytes())

    assert drawn[0] == drawn[1]
    assert drawn[0].startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--strategies", "best"), "No strategy is called best"),
        (("--plot", "curve.pdf"), "must end in .png or .svg"),
        (("--embeddings", "nowhere.npz"), "cannot be read"),
    ],
)
def test_an_option_that_cannot_be_used_is_told_in_one_line(
    arguments: tuple[str, str],
    words: str,
    labelled: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, vectors = labelled
    rest = () if "--embeddings" in arguments else ("--embeddings", str(vectors))

    assert _exit_status("simulate", str(path), *arguments, *rest) == 1

    [line] = capsys.readouterr().err.splitlines()
    assert words in line


def test_vectors_of_another_file_are_refused(
    labelled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, prompts=np.eye(3), responses=np.eye(3))

    assert _exit_status("simulate", str(labelled[0]), "--embeddings", str(other)) == 1

    assert "has 3 prompts and 3 responses; the file has 24 and 96" in capsys.readouterr().err


def test_a_file_without_vectors_is_told_in_one_line(
    labelled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.npz"
    saved = tmp_path / "saved.npz"
    np.savez(saved, prompts=np.eye(3))
    cut_off = saved.read_bytes()[:-40]
    for content, words in (
        (b"not numbers", "is not an NPZ file"),
        (cut_off, "is not an NPZ file"),
        (saved.read_bytes(), "holds no `prompts` and `responses`"),
    ):
        other.write_bytes(content)
        assert _exit_status("simulate", str(labelled[0]), "--embeddings", str(other)) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert words in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no line that can be read"),
        (b'{"prompt": "?"}\n', "no known format"),
        (b"\x1f\x8bbroken", "is damaged"),
        (b"PAR1\x15\x04\n", "is damaged (Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)

    assert _exit_status("simulate", str(path)) == 1

    assert words in capsys.readouterr().err


def test_a_labelled_file_may_be_of_any_kind_that_import_reads(tmp_path: Path) -> None:
    array, table = tmp_path / "rows.json", tmp_path / "rows.csv"
    rows = [{"prompt": f"{number}?", "chosen": "a", "rejected": "b"} for number in range(3)]
    array.write_bytes(json.dumps(rows, indent=1).encode("utf-16"))
    table.write_text("prompt,chosen,rejected\n0?,a,b\n1?,a,b, or c\n2?,a,b\n")

    assert [line.number for line in read_labelled_file(array).lines] == [1, 2, 3]
    read = read_labelled_file(table)
    assert [line.number for line in read.lines] == [2, 4]
    assert [each.line for each in read.rejected] == [3]


def test_vectors_follow_the_responses_that_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    texts = ["one", "", "two", "one", "three"]
    line = {
        "prompt_id": "p",
        "prompt": "?",
        "responses": [{"id": f"r{place}", "text": text} for place, text in enumerate(texts)],
        "preferences": [
            {"a": "r3", "b": "r2", "winner": "a"},
            {"a": "r4", "b": "r0", "winner": "tie"},
            {"a": "r1", "b": "r2", "winner": "b"},
        ],
    }
    path.write_text(json.dumps(line), encoding="utf-8")
    np.savez(tmp_path / "v.npz", prompts=np.eye(5)[:1], responses=np.eye(5))
    file = read_labelled_file(path)

    vectors = load_vectors(file, tmp_path / "v.npz")
    [prompt] = file.world(vectors).prompts

    np.testing.assert_array_equal(prompt.responses, np.eye(5)[[0, 2, 4]])
    # (one, two): one preferred; (one, three): a tie; (two, three): nobody asked.
    assert prompt.votes.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert prompt.gold is None


def test_texts_are_embedded_once_each_and_put_back_in_their_places(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    lines = [
        {"prompt": "p" * size, "chosen": "a" * (size + 1), "rejected": "b"} for size in (9, 2, 5)
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    file = read_labelled_file(path)
    told: list[int] = []

    vectors = encode_file(
        file,
        lambda texts: np.array([[len(text), ord(text[0])] for text in texts], dtype=np.float32),
        told.append,
    )

    assert vectors.prompts[:, 0].tolist() == [9, 2, 5]
    assert [rows[:, 0].tolist() for rows in vectors.responses] == [[10, 1], [3, 1], [6, 1]]
    assert sum(told) == 9


def test_near_duplicates_are_marked_by_what_prompts_ask(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    texts = ["Be kind. " * 100 + asked for asked in ("Name a planet.", "Why?", "Name a planet.")]
    lines = [{"prompt": text, "chosen": "a", "rejected": "b"} for text in texts]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    file = read_labelled_file(path)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        """The whole prompts are one direction; short texts are told apart by their ends."""
        directions = [(1, 0) if "planet" in text or len(text) > 500 else (0, 1) for text in texts]
        return np.array(directions, dtype=np.float32)

    world = file.world(encode_file(file, encode, lambda _: None))

    assert world.near_duplicate.tolist() == [False, False, True]
    assert [prompt.embedding.tolist() for prompt in world.prompts] == [[1, 0]] * 3


@pytest.mark.parametrize(
    ("name", "prompts", "in_sample", "gold"),
    [
        ("multi-cragc25", 65, 4, True),
        ("multi-pandalm", 164, 10, False),
        ("multi-oasst-en100", 206, 16, True),
        ("multi-qafeedback-dev", 500, 25, False),
        ("multi-qlora-vicuna80-gpt4judge", 80, 3, True),
        ("pairs-llmbar", 619, 9, False),
        ("hh-harmless-pairs", 2303, 11, False),
    ],
)
def test_real_files_are_read(name: str, prompts: int, in_sample: int, gold: bool) -> None:
    file = read_labelled_file(real_file(name))

    world = file.world(
        encode_file(file, lambda texts: np.ones((len(texts), 2), dtype=np.float32), lambda _: None)
    )

    assert len(world.prompts) == (prompts if is_whole(name) else in_sample)
    assert any(prompt.gold is not None for prompt in world.prompts) == gold
