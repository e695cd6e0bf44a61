"""bin/classify as a person uses it."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow


def classify(*arguments, cwd):
    command = [sys.executable, "-m", "i2p_tf.cli.classify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


@pytest.fixture
def folder(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{index}.png")
    (tmp_path / "text.jpg").write_text("no picture")
    return tmp_path


def test_text_and_json_say_the_same(stand_in, small_export, folder):
    flags = [f"--export={small_export}", f"--server={stand_in.rest}"]
    text = classify("0.png", "1.png", "--top=2", *flags, cwd=folder)
    assert text.returncode == 0 and text.stderr == ""
    lines = classify("0.png", "1.png", "--top=2", "--json", *flags, cwd=folder).stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    assert [answer["picture"] for answer in answers] == ["0.png", "1.png"]
    for line, answer in zip(text.stdout.splitlines(), answers, strict=True):
        first, second = answer["labels"]
        assert 1 >= first["probability"] >= second["probability"] >= 0
        labels = ", ".join(f"{entry['label']} {entry['probability']:.4f}" for entry in (first, second))
        assert line == f"{answer['picture']}: {labels}"


@pytest.fixture
def codebook(small_export, tmp_path):
    """The transform of `small_export`, which says that it is a codebook of three words."""
    from i2p_tf.client.transform_file import METADATA
    from i2p_tf.export import tflite

    source, file = small_export / "transform_float32.tflite", tmp_path / "transform_float32.tflite"
    with zipfile.ZipFile(source) as archive:
        metadata, end = json.loads(archive.read(METADATA)), archive.getinfo(METADATA).header_offset
    file.write_bytes(tflite.with_metadata(source.read_bytes()[:end], metadata | {"codewords": 3}))
    return file


def test_answers_without_confidence_are_marked(stand_in, small_export, codebook, folder):
    flags = ["0.png", f"--server={stand_in.rest}", "--model=small"]
    marked = classify(*flags, f"--export={codebook}", cwd=folder)
    assert marked.stdout.endswith(" (no confidence)\n") and marked.returncode == 0
    assert marked.stderr.startswith("note: no confidence: one of 3 fixed pictures") and marked.stderr.count("\n") == 1
    told = []
    for more in ([f"--export={codebook}"], [f"--export={codebook}", "--plain"], [f"--export={small_export}"]):
        answer = classify(*flags, *more, "--json", cwd=folder)
        told.append(json.loads(answer.stdout)["constant_probabilities"])
        assert "no confidence" not in answer.stderr
    assert told == [True, False, False]


def test_a_file_that_is_no_picture_is_named_and_the_others_done(stand_in, small_export, folder):
    flags = [f"--export={small_export}", f"--server=grpc://{stand_in.grpc}"]
    result = classify("0.png", "text.jpg", "nowhere.png", "1.png", *flags, cwd=folder)
    assert result.returncode == 1 and len(result.stdout.splitlines()) == 2
    assert result.stderr.splitlines() == [
        "text.jpg: not a picture of a supported format",
        "nowhere.png: cannot be read: no such file or directory",
    ]


def test_plain_pictures_are_sent_only_with_plain_which_says_so(stand_in, small_export, folder):
    protected = classify("0.png", "--json", f"--export={small_export}", f"--server={stand_in.rest}", cwd=folder)
    plain = classify("0.png", "--json", "--plain", "--model=small", f"--server={stand_in.rest}", cwd=folder)
    assert plain.returncode == 0 and json.loads(plain.stdout) != json.loads(protected.stdout)
    assert plain.stderr == f"warning: --plain sends the pictures unprotected to {stand_in.rest}\n"


def test_failures_are_one_line(stand_in, small_export, other_export, folder):
    for flags, message in [
        ([f"--export={small_export}", "--server=http://127.0.0.1:9"], "error: http://127.0.0.1:9 cannot be reached"),
        ([f"--export={other_export}", f"--server={stand_in.rest}"], "Nothing was sent"),
        ([f"--export={small_export}", f"--server={stand_in.rest}", "--model=x"], "is x the name of a model"),
    ]:
        result = classify("0.png", *flags, cwd=folder)
        assert result.returncode == 1 and result.stdout == ""
        assert len(result.stderr.splitlines()) == 1 and message in result.stderr
