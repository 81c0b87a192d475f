"""The text encoder and its cache, on the shipped weights."""

import json
import shutil

import numpy as np
import pytest

from logmeta.encode.text import TemplateVectors, TextEncoder
from logmeta.errors import ArtifactError
from logmeta.meta.base import PRETRAINED
from logmeta.meta.distill_corpus import mask, plain

REFUSED = "connection refused by peer"
SENTENCES = [
    REFUSED,
    "disk quota exceeded on volume <PATH>",
    "user <STR> logged in from <IP>",
    "checkpoint complete: wrote <NUM> buffers",
    "Out of memory: killed process <NUM>",
    "scheduled backup finished",
]


@pytest.fixture(scope="module")
def encoder():
    return TextEncoder.from_pretrained()


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(PRETRAINED / "encoder", tmp_path / "encoder")


@pytest.fixture
def in_torch(copied):
    """The shipped encoder as a Hugging Face folder, without its graph."""
    pytest.importorskip("transformers", reason="transformers is not installed (the `train` extra)")
    (copied / "model.onnx").unlink()
    (copied / "metrics.json").unlink()
    return copied


def test_the_graph_gives_what_torch_gives(encoder, in_torch):
    ours = encoder.encode([*SENTENCES, "word " * 90, ""])
    theirs = TextEncoder.from_pretrained(in_torch).encode([*SENTENCES, "word " * 90, ""])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_every_vector_has_unit_length_and_the_stated_dimension(encoder):
    vectors = encoder.encode(SENTENCES)
    assert vectors.shape == (len(SENTENCES), encoder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_nothing_in_gives_no_rows_of_the_stated_dimension(encoder):
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_a_text_has_the_same_vector_alone_and_beside_longer_ones(encoder):
    crowd = [*SENTENCES, "word " * 40, *[f"filler {i}" for i in range(200)]]
    assert encoder.encode([REFUSED])[0] == pytest.approx(encoder.encode(crowd)[0], abs=1e-5)


def test_encoding_twice_gives_equal_bits(encoder):
    assert np.array_equal(encoder.encode(SENTENCES), encoder.encode(SENTENCES))


def test_rows_come_back_in_the_order_of_the_texts_whatever_their_length(encoder):
    assert encoder.encode(SENTENCES[::-1])[::-1] == pytest.approx(encoder.encode(SENTENCES), abs=1e-5)


def test_different_sentences_do_not_collapse_to_one_vector(encoder):
    cosines = encoder.encode(SENTENCES) @ encoder.encode(SENTENCES).T
    others = cosines[~np.eye(len(SENTENCES), dtype=bool)]
    assert others.max() < 0.8
    assert np.linalg.matrix_rank(encoder.encode(SENTENCES), tol=0.1) == len(SENTENCES)


@pytest.mark.parametrize(
    ("text", "related", "unrelated"),
    [
        (REFUSED, "connect failed: connection refused", "checkpoint complete: wrote <NUM> buffers"),
        ("disk quota exceeded on <PATH>", "no space left on device <PATH>", "user <STR> logged in from <IP>"),
        ("authentication failure for user <STR>", "invalid password for <*>", "segment <NUM> was compacted"),
        ("starting server on port <NUM>", "listening on <IP> port <NUM>", "division by zero"),
    ],
)
def test_messages_of_one_meaning_are_closer_than_messages_of_two(encoder, text, related, unrelated):
    anchor, near, far = encoder.encode([text, related, unrelated])
    assert anchor @ near > anchor @ far + 0.1


@pytest.mark.parametrize("word", ["<NUM>", "<IP>", "<HEX>", "<UUID>", "<PATH>", "<STR>", "<TIME>", "<*>"])
def test_a_mask_word_is_one_token(encoder, word):
    assert len(encoder._tokenizer.encode(word, add_special_tokens=False).ids) == 1


def test_case_does_not_matter(encoder):
    assert encoder.encode(["Connection REFUSED"]) == pytest.approx(encoder.encode(["connection refused"]), abs=1e-6)


@pytest.mark.parametrize("text", ["", " ", "\x00", "中文日志", "😀" * 100, "a" * 10_000])
def test_odd_texts_have_finite_vectors(encoder, text):
    assert np.isfinite(encoder.encode([text])).all()


def test_a_text_that_is_cut_is_counted(copied):
    encoder = TextEncoder.from_pretrained(copied)
    encoder.encode([REFUSED, "word " * 500])
    assert encoder.truncated == 1


def test_a_folder_without_tokenizer_is_refused_with_its_name(copied):
    (copied / "tokenizer.json").unlink()
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        TextEncoder.from_pretrained(copied)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_without_graph_that_lacks_a_file_is_refused_with_its_name(in_torch, name):
    (in_torch / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        TextEncoder.from_pretrained(in_torch)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("digests", [True, False])
def test_a_folder_with_a_broken_file_is_refused(copied, name, digests):
    (copied / name).write_bytes((copied / name).read_bytes()[:40])
    if not digests:
        (copied / "metrics.json").unlink()
    with pytest.raises(ArtifactError, match=r"not a usable text encoder|model\.onnx is no graph"):
        TextEncoder.from_pretrained(copied)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "projection.safetensors"])
def test_a_folder_without_graph_and_with_a_broken_file_is_refused(in_torch, name):
    (in_torch / name).write_bytes((in_torch / name).read_bytes()[:40])
    with pytest.raises(ArtifactError, match="not a usable text encoder"):
        TextEncoder.from_pretrained(in_torch)


def test_weights_that_are_missing_are_never_made_up(in_torch):
    config = json.loads((in_torch / "config.json").read_text())
    (in_torch / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 9}))
    with pytest.raises(ArtifactError, match="lacks"):
        TextEncoder.from_pretrained(in_torch)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="needs config"):
        TextEncoder.from_pretrained(tmp_path / "nowhere")


def test_a_folder_without_projection_is_mean_pooled_at_its_hidden_size(in_torch):
    (in_torch / "projection.safetensors").unlink()
    encoder = TextEncoder.from_pretrained(in_torch)
    assert encoder.dimension == json.loads((in_torch / "config.json").read_text())["hidden_size"]
    assert np.linalg.norm(encoder.encode(SENTENCES), axis=1) == pytest.approx(1, abs=1e-5)


class CountingEncoder:
    """Gives each text the unit vector of its first letter, and remembers what it was asked."""

    dimension = 26

    def __init__(self):
        self.calls = []

    def encode(self, texts):
        self.calls.append(list(texts))
        return np.eye(26, dtype=np.float32)[[ord(text[0]) - ord("a") for text in texts]]


def test_each_missing_text_is_encoded_once_in_one_batch():
    cache = TemplateVectors(counting := CountingEncoder())
    cache.vectors(["a", "b", "a"])
    assert cache.vectors(["b", "c"]).argmax(1).tolist() == [1, 2]
    assert counting.calls == [["a", "b"], ["c"]]
    assert (cache.hits, cache.misses, cache.evicted) == (2, 3, 0)


def test_the_cache_keeps_to_its_capacity_and_lets_the_least_recently_used_go():
    cache = TemplateVectors(counting := CountingEncoder(), capacity=2)
    cache.vectors(["a", "b"])
    cache.vectors(["a"])
    cache.vectors(["c"])
    cache.vectors(["a"])
    assert (len(cache), cache.evicted) == (2, 1)
    assert counting.calls == [["a", "b"], ["c"]]


def test_more_texts_than_the_capacity_still_get_their_vectors():
    cache = TemplateVectors(CountingEncoder(), capacity=1)
    assert cache.vectors(["a", "b", "c"]).argmax(1).tolist() == [0, 1, 2]
    assert (len(cache), cache.evicted) == (1, 2)


def test_asking_the_cache_for_nothing_encodes_nothing():
    cache = TemplateVectors(counting := CountingEncoder())
    assert cache.vectors([]).shape == (0, 26)
    assert counting.calls == []


def test_changing_a_returned_vector_does_not_change_the_cache():
    cache = TemplateVectors(CountingEncoder())
    cache.vectors(["a"])[:] = 7
    assert cache.vectors(["a"]).max() == 1


def test_a_cache_for_no_text_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        TemplateVectors(CountingEncoder(), capacity=0)


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("Nov 22 17:00:51 vm sshd[25629]: From 127.0.1.22 port 4", "vm sshd[<NUM>]: From <IP> port <NUM>"),
        ("could not read %s: %d of %zu", "could not read <*>: <NUM> of <NUM>"),
        ("opened /var/log/x.log as 0x7fa3", "opened <PATH> as <HEX>"),
        ("req 0e5d76d1-cac9-4063-849e-670f21f34f04 said 'no'", "req <UUID> said <STR>"),
    ],
)
def test_variable_parts_become_mask_words(line, masked):
    assert mask(line) == masked


def test_the_teacher_reads_words_instead_of_masks():
    assert plain("read <NUM> of <PATH>") == "read number of path"


def test_the_student_learns_and_equal_seeds_give_equal_weights():
    torch = pytest.importorskip("torch")
    distill = pytest.importorskip("logmeta.meta.distill")

    def learned(seed):
        rows = torch.nn.functional.normalize(
            torch.randn(40, distill.DIMENSION, generator=torch.Generator().manual_seed(0)), dim=-1
        )
        lesson = distill.Lesson([[1 + i, 50 - i] for i in range(40)], rows, rows)
        recipe = distill.Recipe(epochs=30, batch_size=20, layers=1, seed=seed)
        student = distill.Student(recipe, token_vectors=torch.zeros(60, distill.DIMENSION))
        report = distill.train(student, lesson, recipe, minutes=1)
        assert report["stopped_early"] is False
        with torch.inference_mode():
            return student(lesson.ids), rows

    (first, rows), (second, _), (other, _) = learned(0), learned(0), learned(1)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert float((first * rows).sum(-1).mean()) > 0.5


def test_no_system_is_both_learned_from_and_held_out_as_unseen():
    distill = pytest.importorskip("logmeta.meta.distill")
    texts = [distill.CorpusText(f"text {i}", "log", f"system{i % 6}") for i in range(60)]
    learn, held = distill.split(texts, distill.Recipe(held_out_families=2))
    away = {texts[i].family for i in held["unseen_systems"]}
    assert len(away) == 2
    assert not away & {texts[i].family for i in [*learn, *held["unseen_texts"]]}
    assert sorted([*learn, *held["unseen_texts"], *held["unseen_systems"]]) == list(range(60))


def test_likeness_is_whole_for_the_same_vectors_and_turns_round_for_the_opposite_order():
    torch = pytest.importorskip("torch")
    report = pytest.importorskip("logmeta.meta.distill_report")

    def at(*degrees):
        angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
        return torch.stack([angle.cos(), angle.sin()], -1)

    assert report.likeness(at(0.0, 10.0, 30.0), at(0.0, 10.0, 30.0))["spearman"] == 1
    assert report.likeness(at(0.0, 10.0, 30.0), at(0.0, 10.0, 30.0))["same_nearest"] == 1
    # ours: the pairs 01, 12, 02 are 10, 20, 30 degrees apart; theirs: 30, 20, 10
    assert report.likeness(at(0.0, 10.0, 30.0), at(0.0, 30.0, 10.0))["spearman"] == -1


def test_masked_texts_of_a_data_folder_become_the_log_part_of_the_corpus(tmp_path):
    corpus = pytest.importorskip("logmeta.meta.distill_corpus")
    (tmp_path / "live" / "shop").mkdir(parents=True)
    (tmp_path / "live" / "shop" / "normal.log").write_text(
        "2026-11-22 18:43:32 order 17 was paid\n2026-11-22 18:43:33 order 18 was paid\n"
        '{"level": 30, "msg": "cart 4 was emptied"}\n12345\n'
    )
    found = corpus.corpus(tmp_path, limit=2)
    assert [(text.text, text.kind, text.family) for text in found] == [
        ("cart <NUM> was emptied", "log", "shop"),
        ("order <NUM> was paid", "log", "shop"),
    ]
