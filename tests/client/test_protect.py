import concurrent.futures
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import i2p_tf
from i2p_tf import pictures
from i2p_tf.client import protect
from i2p_tf.client.journal import FILE, Journal, digest
from i2p_tf.client.keyed_transform import KeyedTransform
from i2p_tf.errors import InputError
from i2p_tf.files import write_bytes
from i2p_tf.run_dir import lock_folder

# Runs bin/protect's command and stops it at the first attempt to reach a network.
COMMAND = """
import sys

def watch(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(f"the network was used: {event}")

sys.addaudithook(watch)
from i2p_tf.cli import protect
protect.run()
"""


def targets(inputs, output):
    jobs, failures = protect.plan([Path(path) for path in inputs], Path(output))
    assert not failures
    return {str(job.source): str(job.target) for job in jobs}


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


def photograph(path, size=(50, 40), seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_tree_and_names_are_kept(here):
    touch("in/a.jpg", "in/deep/er/b.tiff", "in/c", "in/.hidden.jpg", "in/.cache/d.jpg", "in/Thumbs.db")
    assert targets(["in"], "out") == {
        "in/a.jpg": "out/a.png",
        "in/c": "out/c.png",
        "in/deep/er/b.tiff": "out/deep/er/b.png",
    }
    assert targets(["in", "in/a.jpg"], "out")["in/deep/er/b.tiff"] == "out/in/deep/er/b.png"


def test_clashing_names_lose_no_picture(here):
    touch("in/a.jpg", "in/a.png", "in/A.gif", "in/a.jpg.bmp", "in/b.png")
    assert targets(["in"], "out") == {
        "in/A.gif": "out/A.gif.png",
        "in/a.jpg": "out/a.jpg.png",
        "in/a.jpg.bmp": "out/a.jpg.bmp.png",
        "in/a.png": "out/a.png.png",
        "in/b.png": "out/b.png",
    }
    touch("x/same/p.jpg", "y/same/p.jpg")
    with pytest.raises(InputError, match="would both become out/same/p.jpg.png"):
        targets(["x/same", "y/same"], "out")


def test_no_source_is_overwritten(here):
    touch("in/a.png", "in/sub/b.png")
    with pytest.raises(InputError, match="both input and output"):
        targets(["in"], "in")
    os.symlink("in", "link")
    with pytest.raises(InputError, match="both input and output"):
        targets(["in"], "link")
    with pytest.raises(InputError, match="would overwrite an input"):
        targets(["in/a.png", "in/sub"], "in")
    with pytest.raises(InputError, match="would overwrite an input"):
        targets(["in/a.png", "in/sub/b.png"], "link")


def test_output_inside_the_input_is_no_input(here):
    touch("in/a.png", "in/out/a.png")
    assert targets(["in"], "in/out") == {"in/a.png": "in/out/a.png"}


def test_links_are_followed_once(here):
    touch("elsewhere/b.jpg", "in/a.jpg")
    os.symlink("../elsewhere", "in/more")
    os.symlink("..", "in/round")
    assert set(targets(["in"], "out")) >= {"in/a.jpg", "in/more/b.jpg"}
    assert len(targets(["in"], "out")) == 2


def claim(jobs, settings, overwrite=False):
    """The journal of the folder `out`, as bin/protect claims it."""
    journal = protect.check(Path("out"), settings, jobs, overwrite)
    protect.claim(journal, settings, jobs, overwrite)
    return Journal(Path("out"))


def finish(journal, job, content=b"protected"):
    """What `protect_pictures` does with a picture."""
    job.target.write_bytes(content)
    journal.finish(digest(job.source), job.target, content)


def test_output_folder_of_another_transform(here):
    touch("in/a.jpg")
    job = protect.Job(Path("in/a.jpg"), Path("out/a.png"))
    settings = {"run_id": "1", "resize": "crop"}
    finish(claim([job], settings), job)
    assert claim([job], settings).is_finished(digest(job.source), job.target)
    with pytest.raises(InputError, match="run_id: 1 -> 2"):
        claim([job], settings | {"run_id": "2"})
    with pytest.raises(InputError, match="resize: crop -> None"):
        claim([job], {"run_id": "1"})
    journal = claim([job], settings | {"run_id": "2"}, overwrite=True)
    assert not journal.is_finished(digest(job.source), job.target)


def test_a_plain_picture_in_the_output_is_not_taken_for_a_protected_one(here):
    touch("out/a.png")
    a, b = (protect.Job(Path(f"in/{name}.jpg"), Path(f"out/{name}.png")) for name in "ab")
    with pytest.raises(InputError, match="out/a.png is there already"):
        claim([a], {})
    assert os.listdir("out") == ["a.png"]
    claim([b], {})
    with pytest.raises(InputError, match="out/a.png is there already"):  # beside what such a command has written too
        claim([a, b], {})
    assert a.target not in Journal(Path("out")) and b.target in Journal(Path("out"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda job: job.target.write_bytes(b""),
        lambda job: job.target.write_bytes(b"prot"),
        lambda job: job.target.write_bytes(b"PROTECTED"),
        lambda job: job.target.unlink(),
        lambda job: (job.target.unlink(), job.target.symlink_to("../in/a.jpg")),
        lambda job: (job.target.unlink(), job.target.mkdir()),
        lambda job: job.source.write_bytes(b"another"),
        lambda job: job.source.write_bytes(b"Plain"),
        lambda job: job.source.unlink(),
    ],
)
def test_only_what_is_as_it_was_written_counts_as_protected(spoil, here):
    touch("in/a.jpg")
    job = protect.Job(Path("in/a.jpg"), Path("out/a.png"))
    job.source.write_bytes(b"plain")
    finish(claim([job], {}), job)
    times = [(path, os.stat(path)) for path in (job.source, job.target)]
    assert claim([job], {}).is_finished(digest(job.source), job.target)
    spoil(job)
    for path, before in times:
        if path.exists():
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not claim([job], {}).is_finished(digest(job.source), job.target)


@pytest.mark.parametrize("torn", [1, 20, 100])
def test_a_journal_that_was_cut_off_loses_its_last_line_alone(torn, here):
    touch("in/a.jpg", "in/b.jpg")
    jobs = [protect.Job(Path(f"in/{name}.jpg"), Path(f"out/{name}.png")) for name in "ab"]
    journal = claim(jobs, {"run_id": "1"})
    for job in jobs:
        finish(journal, job)
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-torn])
    journal = claim(jobs, {"run_id": "1"})
    assert [journal.is_finished(digest(job.source), job.target) for job in jobs] == [True, torn == 1]
    finish(journal, jobs[1])
    journal = claim(jobs, {"run_id": "1"})
    assert all(journal.is_finished(digest(job.source), job.target) for job in jobs)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b"\xff\xfe",
        b"9" * 5_000,
        b"[]",
        b'{"output": {}}',
        b'{"output": "a.png", "made": 1}',
        b'{"output": "a.png", "made": null, "source": null}',
        b'{"output": "a.png", "made": [1e999, "x"], "source": [NaN, 2]}',
    ],
    ids=lambda line: line[:50].decode("latin-1"),
)
def test_whatever_a_journal_says_a_picture_is_made_again_at_worst(line, here):
    touch("in/a.jpg", "out/b.png")
    job = protect.Job(Path("in/a.jpg"), Path("out/a.png"))
    journal = claim([job], {})
    with open(journal.path, "ab") as file:
        file.write(line + b"\n")
    journal = claim([job], {})
    assert not journal.is_finished(digest(job.source), job.target)
    journal.path.write_bytes(line + b"\n")
    job.target.touch()
    with pytest.raises(InputError, match="out/a.png is there already"):
        claim([job], {})


def test_what_a_killed_command_was_writing_is_removed(here):
    job = protect.Job(Path("in/a.jpg"), Path("out/a.png"))
    touch("out/.unfinished-mine")
    with pytest.raises(TypeError):
        write_bytes(job.target, "no bytes")
    assert os.listdir("out") == [".unfinished-mine"]
    left = next(iter(left_over(job.target)))
    claim([job], {})
    assert not left.exists() and sorted(os.listdir("out")) == [FILE, ".unfinished-mine"]


def left_over(path):
    """What a killed `write_bytes` leaves."""
    code = (
        "import os, pathlib, sys\nfrom i2p_tf import files\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\nfiles.write_bytes(pathlib.Path(sys.argv[1]), b'half')"
    )
    before = set(path.parent.iterdir())
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    return set(path.parent.iterdir()) - before


def test_any_name_can_be_in_the_journal(here):
    name = os.fsdecode(b'odd\xff\n"')
    touch(f"in/{name}.jpg")
    job = protect.Job(Path(f"in/{name}.jpg"), Path(f"out/{name}.png"))
    finish(claim([job], {}), job)
    assert claim([job], {}).is_finished(digest(job.source), job.target)


def test_two_that_write_one_file_leave_one_of_them(here):
    """As two commands do where the file system has no locks."""
    path, contents = Path("a.png"), [bytes([index]) * 300_000 for index in range(8)]
    write_bytes(path, contents[0])
    with concurrent.futures.ThreadPoolExecutor(8) as writers:
        for written in [writers.submit(write_bytes, path, content) for content in contents]:
            assert path.read_bytes() in contents
            written.result()
    assert os.listdir() == ["a.png"]


def test_a_file_is_on_the_disk_before_it_has_its_name(here, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("fsync"))
    monkeypatch.setattr(os, "replace", lambda *_: calls.append("replace"))
    write_bytes(Path("a.png"), b"x")
    assert calls == ["fsync", "replace"]


def test_pictures_that_cannot_be_written_are_named_and_the_others_are_done(here):
    transform = KeyedTransform("etc", bytes(32), 32, threads=2)
    for index in range(100):
        photograph(f"{index}.png", seed=index)
    jobs = [protect.Job(Path(f"{index}.png"), Path("out", str(index % 7), f"{index}.png")) for index in range(100)]
    for index in (3, 50):
        jobs[index].target.mkdir(parents=True)
    outcomes = {str(outcome.source): outcome.reason for outcome in protect.protect_pictures(jobs, transform, "crop")}
    assert outcomes.keys() == {f"{index}.png" for index in range(100)}
    assert {name: reason for name, reason in outcomes.items() if reason} == {
        f"{index}.png": f"out/{index % 7}/{index}.png cannot be written: Is a directory" for index in (3, 50)
    }
    for index in (0, 99):
        plain = pictures.resize(Image.open(jobs[index].source), 32)
        assert np.array_equal(np.asarray(Image.open(jobs[index].target)), transform(np.asarray(plain)[np.newaxis])[0])


def test_odd_names_are_printed_in_one_line():
    assert protect.printable("Größe 写真.jpg") == "Größe 写真.jpg"
    assert protect.printable("a\nb\x1b.jpg") == r"'a\nb\x1b.jpg'"
    assert protect.printable(os.fsdecode(b"\xff.jpg")) == r"'\udcff.jpg'"


def test_names_may_be_as_long_as_the_file_system_allows(here):
    path = Path("写" * 80 + "a" * 11 + ".png")
    write_bytes(path, b"x")
    assert path.read_bytes() == b"x" and os.listdir() == [path.name]


def run(bundle, *arguments, stdin=b""):
    command = [sys.executable, "-c", COMMAND, f"--export={bundle}", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True)


def expected(bundle, path, rule="crop"):
    transform = i2p_tf.load_transform(bundle)
    plain = pictures.resize(pictures.decode(path), 16, rule)
    return transform(np.asarray(plain)[np.newaxis])[0]


@pytest.mark.slow
def test_one_picture(shared_bundle, here):
    gps = Image.Exif()
    gps[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    gps[0x0112] = 6
    source = photograph("in.jpg", exif=gps, comment=b"my home", quality=95)
    result = run(shared_bundle, "in.jpg", "out.png")
    assert result.returncode == 0, result.stderr
    protected = Image.open("out.png")
    assert (protected.format, protected.mode, protected.size, protected.info) == ("PNG", "RGB", (16, 16), {})
    np.testing.assert_array_equal(protected, expected(shared_bundle, source))

    former = Path("out.png").read_bytes()
    again = run(shared_bundle, "in.jpg", "out.png")
    assert again.returncode == 2 and b"--overwrite" in again.stderr and Path("out.png").read_bytes() == former
    stretched = run(shared_bundle, "--resize=stretch", "--overwrite", "in.jpg", "out.png")
    assert stretched.returncode == 0
    np.testing.assert_array_equal(Image.open("out.png"), expected(shared_bundle, source, "stretch"))

    stream = run(shared_bundle, "-", "-", stdin=Path("in.jpg").read_bytes())
    assert stream.returncode == 0 and stream.stdout == former
    bad = run(shared_bundle, "-", "-", stdin=b"hello")
    assert bad.returncode == 1 and bad.stdout == b"" and b"standard input: not a picture" in bad.stderr


@pytest.mark.slow
def test_bad_files_are_named_and_the_others_done(shared_bundle, here):
    Path("in").mkdir()
    whole = Path(photograph("in/good.png")).read_bytes()
    Path("in/truncated.png").write_bytes(whole[: len(whole) // 2])
    Path("in/damaged.png").write_bytes(whole[:200] + bytes(100) + whole[300:])
    Path("in/text.jpg").write_text("no picture")
    Path("in/empty.jpg").write_bytes(b"")
    Image.new("1", (30_000, 30_000)).save("in/bomb.png")
    os.symlink("nowhere", "in/dangling.jpg")
    os.mkfifo("in/pipe.jpg")
    odd = os.fsdecode(b"in/odd\xff\n.png")
    photograph("in/good.jpg", seed=1)
    Path(odd).write_bytes(whole)
    Path(odd + ".bad.jpg").write_bytes(b"?")
    photograph(
        "in/metadata.png", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01"
    )  # it ends in the middle, which is harmless
    result = run(shared_bundle, "in", "out")
    assert result.returncode == 1
    errors = dict(line.split(": ", 1) for line in result.stderr.decode().splitlines())
    assert errors == {
        "in/truncated.png": "truncated or damaged",
        "in/damaged.png": "truncated or damaged",
        "in/text.jpg": "not a picture of a supported format",
        "in/empty.jpg": "0 bytes",
        "in/bomb.png": "more than 80,000,000 pixels",
        "in/dangling.jpg": "cannot be read: no such file or directory",
        "in/pipe.jpg": "not a regular file",
        r"'in/odd\udcff\n.png.bad.jpg'": "not a picture of a supported format",
    }
    assert "4 pictures protected" in result.stdout.decode() and "8 failed" in result.stdout.decode()
    assert sorted(os.listdir("out")) == sorted(
        [FILE, "metadata.png", "good.jpg.png", "good.png.png", os.fsdecode(b"odd\xff\n.png")]
    )


@pytest.mark.slow
def test_unreadable_and_unwritable(shared_bundle, here):
    jobs = [protect.Job(Path(photograph("a.jpg")), Path("out/a.png")), protect.Job(Path("b.jpg"), Path("a.jpg/b.png"))]
    photograph("b.jpg")
    transform = i2p_tf.load_transform(shared_bundle)
    outcomes = {str(outcome.source): outcome.reason for outcome in protect.protect_pictures(jobs, transform, "crop")}
    assert outcomes["a.jpg"] is None
    assert "a.jpg/b.png cannot be written" in outcomes["b.jpg"]


@pytest.mark.slow
def test_the_same_command_goes_on(shared_bundle, here):
    Path("in/sub").mkdir(parents=True)
    for index in range(4):
        photograph(f"in/sub/{index}.png", seed=index)
    assert run(shared_bundle, "in", "out").returncode == 0
    whole = {path.name: path.read_bytes() for path in Path("out/sub").iterdir()}
    kept = Path("out/sub/0.png").stat().st_mtime_ns
    Path("out/sub/1.png").unlink()
    photograph("in/sub/2.png", seed=9)  # has changed since
    again = run(shared_bundle, "in", "out")
    assert "2 pictures protected" in again.stdout.decode() and "2 done earlier" in again.stdout.decode()
    assert Path("out/sub/0.png").stat().st_mtime_ns == kept
    assert Path("out/sub/1.png").read_bytes() == whole["1.png"]
    assert Path("out/sub/2.png").read_bytes() != whole["2.png"]
    assert json.loads(Path("out", FILE).read_text().splitlines()[0])["made_by"]["variant"] == "float32"
    other = run(shared_bundle, "--variant=int8", "in", "out")
    assert other.returncode == 2 and b"variant: float32 -> int8" in other.stderr


@pytest.mark.slow
def test_a_second_command_into_one_folder_is_refused(shared_bundle, here):
    photograph("a.png")
    Path("out").mkdir()
    with lock_folder("out", "wait"):
        result = run(shared_bundle, "a.png", "out")
    assert result.returncode == 2 and b"another command is writing to out; wait for it" in result.stderr
    assert os.listdir("out") == []
    assert run(shared_bundle, "a.png", "out").stdout.startswith(b"1 picture protected in ")  # no / needed
    assert Path("out/a.png").is_file()


@pytest.mark.slow
def test_the_output_as_a_flag(shared_bundle, here):
    photograph("a.png"), photograph("b.png")
    assert run(shared_bundle, "a.png", "b.png", "--output=out").stdout.startswith(b"2 pictures protected in ")
    assert run(shared_bundle, "--output=c.png", "a.png").returncode == 0
    assert Path("out/a.png").read_bytes() == Path("c.png").read_bytes()


@pytest.mark.slow
def test_bad_commands(shared_bundle, here):
    photograph("a.png")
    photograph("b.png")
    for arguments, message in [
        (["a.png"], "give at least one picture"),
        (["a.png", "b"], "a name that ends in .png, or a folder/"),
        (["a.png", "a.png"], "would overwrite the input"),
        (["a.png", "."], "would overwrite an input"),
        (["a.png", "b.png", "-"], "stands for one picture"),
        (["a.png", "b.png", "b.png"], "is a file"),
        (["a.png", "out.png", "--resize=squash"], "unknown resize rule 'squash'"),
        (["a.png", "out.png", "--variant=int9"], "Did you mean int8?"),
        (["a.png", "out.png", "--threads=0"], "threads must be at least 1"),
    ]:
        result = run(shared_bundle, *arguments)
        lines = result.stderr.decode().splitlines()
        assert result.returncode == 2 and len(lines) == 1 and message in lines[0], (arguments, result.stderr)
    assert sorted(os.listdir()) == ["a.png", "b.png"]
