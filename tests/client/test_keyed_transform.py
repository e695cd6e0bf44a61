"""bin/protect --encryption."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2p_tf import encryption, key_file, pictures
from i2p_tf.client import journal
from i2p_tf.files import TEMPORARY

KEY = ["--encryption=ele", "--key_file=key"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(Path("in", name))
    return tmp_path


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "i2p_tf.cli.protect", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("name", encryption.SCHEMES)
def test_the_key_file_gives_the_picture_back(name, here):
    result = run(f"--encryption={name}", "--key_file=key", "--new_key", "--image_size=20", "in", "out")
    assert (result.returncode, result.stderr) == (0, "")
    scheme = encryption.scheme(name, key_file.read("key"), 20)
    for file in ("a.png", "b.png"):
        plain = np.asarray(pictures.resize(pictures.decode(Path("in", file)), 20))
        encrypted = np.asarray(Image.open(Path("out", file)))
        np.testing.assert_array_equal(scheme.decrypt(encrypted[np.newaxis])[0], plain)
        assert not np.array_equal(encrypted, plain)


def test_a_folder_is_of_one_key(here):
    assert run(*KEY, "--new_key", "in", "out").returncode == 0
    assert "2 done earlier" in run(*KEY, "in", "out").stdout
    written = Path("out", journal.FILE).read_text()
    assert key_file.read("key").hex() not in written
    assert json.loads(written.splitlines()[0])["made_by"]["encryption"] == "ele"
    result = run("--encryption=ele", "--key_file=other", "--new_key", "in", "out")
    assert result.returncode == 2 and "made in another way" in result.stderr and "key: " in result.stderr
    result = run("--encryption=le", "--key_file=key", "in", "out")
    assert result.returncode == 2 and "encryption: ele -> le" in result.stderr


def test_a_killed_command_loses_nothing_and_repeats_little(here):
    whole = Path("in", "a.png").read_bytes()
    for index in range(200):
        Path("in", f"{index}.png").write_bytes(whole)
    assert run(*KEY, "--new_key", "in/a.png", "expected.png").returncode == 0
    command = [sys.executable, "-m", "i2p_tf.cli.protect", *KEY, "--threads=1", "in", "out"]  # and one that writes
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(Path("out").glob("*.png"))) < 10:
        time.sleep(0.001)
    process.kill()
    process.wait()
    written = len([path for path in Path("out").glob("*.png") if not path.name.startswith(TEMPORARY)])
    result = run(*KEY, "in", "out")
    done, kept = map(int, re.search(r"^(\d+) pictures? protected.* (\d+) done earlier", result.stdout).groups())
    assert done + kept == 202 and 0 <= written - kept <= 2  # one a thread was written and not yet noted
    expected = Path("expected.png").read_bytes()
    assert all(Path("out", f"{index}.png").read_bytes() == expected for index in range(200))
    assert len(os.listdir("out")) == 203  # and the journal


def test_one_picture_and_its_number(here):
    """A folder that is there needs no stroke behind its name, and a file whose name begins with - two in front."""
    Path("out").mkdir()
    os.rename("in/b.png", "-x.png")
    result = run(*KEY, "--new_key", "in/a.png", "out")
    assert result.stdout.startswith("1 picture protected in")
    result = run(*KEY, "-x.png", "x.png")
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "'-x.png' looks like a flag: files whose names begin with - go behind --" in result.stderr
    assert run(*KEY, "--", "-x.png", "x.png").returncode == 0
    assert sorted(os.listdir()) == ["-x.png", "in", "key", "out", "x.png"] and "a.png" in os.listdir("out")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--encryption=etx", "--key_file=key"],
            "unknown encryption 'etx'; allowed: 'le', 'ele', 'pe', 'etc'. Did you mean etc?",
        ),
        (["--encryption=ele"], "--key_file is missing"),
        ([*KEY], "key file key does not exist"),
        (["--encryption=ele", "--key_file=public"], "mode 644"),
        (["--encryption=ele", "--key_file=short"], "has 31 bytes; a key has 32"),
        (["--encryption=ele", "--key_file=short", "--new_key"], "never overwritten"),
        ([*KEY, "--new_key", "--image_size=30"], "multiple of 4 with --encryption. Received: 30"),
        ([*KEY, "--new_key", "--image_size=0"], "Received: 0"),
        ([*KEY, "--new_key", "--threads=0"], "threads must be at least 1"),
        ([*KEY, "--new_key", "--export=exports/x"], "exclude each other"),
        (["--key_file=key"], "--key_file belongs to --encryption"),
        ([*KEY, "--new_key", "--variant=int8"], "--variant is of a transform"),
        ([*KEY, "--new_key", "--resize=round"], "resize rule 'round'"),
        (["--image_size=32"], "--image_size belongs to --encryption"),
    ],
)
def test_bad_commands(arguments, words, here):
    Path("public").write_bytes(bytes(32))
    Path("public").chmod(0o644)
    Path("short").touch(mode=0o600)
    Path("short").write_bytes(bytes(31))
    result = run(*arguments, "in", "out")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert words in result.stderr
    assert not Path("out").exists() and not Path("key").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["in", "in"], "both input and output"),
        (["in", "in/a.png"], "is a file; several pictures need a folder"),
        (["empty", "out"], "no files in empty"),
        (["nowhere", "out/"], "no such file: nowhere"),
        (["nowhere.png", "out.png"], "nowhere.png"),
        (["key_of_another.txt", "out.png"], "key_of_another.txt"),
        (["in/a.png", "in/b.png"], "in/b.png exists"),
        (["in/a.png", "out.jpg"], "ends in .png"),
        (["in/a.png", "out.png", "--key_file=./out.png", "--overwrite"], "is the key file"),
        (["in", "full"], "full/a.png is there already"),
    ],
)
def test_no_new_key_is_left_where_there_is_nothing_to_encrypt(files, words, here):
    for folder in ("empty", "full"):
        Path(folder).mkdir()
    Path("full", "a.png").write_bytes(b"mine")
    Path("key_of_another.txt").write_text("no picture")
    before = sorted(here.rglob("*"))
    result = run(*KEY, "--new_key", *files)
    assert result.returncode and words in result.stderr and result.stderr.count("\n") == 1
    assert sorted(here.rglob("*")) == before


def test_a_key_that_can_not_be_kept_encrypts_nothing(here):
    result = run("--encryption=ele", "--key_file=nowhere/key", "--new_key", "in", "out")
    assert result.returncode == 2 and "nowhere/key cannot be written" in result.stderr
    assert not Path("out").exists()
