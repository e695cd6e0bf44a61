"""Many pictures by Beam give what bin/protect gives, and what goes wrong is named."""

import gzip
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("apache_beam", reason="the extra `beam` needs the versions of constraints-beam.txt")

from i2p_tf.bulk import example, inputs, storage
from i2p_tf.client import png, protect, transform

EXPORT = Path(__file__).parents[2] / "exports" / "cifar10_resnet20"
PICTURES = 7


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(inputs, "PART", 3)


@pytest.fixture(scope="module")
def model():
    return transform.load(EXPORT, threads=1)


@pytest.fixture
def bulk(run_command):
    """Runs bin/protect by Beam in this process."""

    def run(pattern, output, *flags):
        return run_command(
            *("protect", f"--export={EXPORT}", "--runner=DirectRunner", "--threads=1"),
            *(f"--input={pattern}", f"--output={output}", *flags),
        )

    return run


def picture(seed, kind="PNG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def make_folder(path):
    """Pictures in two formats and two folders; two that are none; a hidden one."""
    (path / "deep").mkdir(parents=True)
    for seed in range(PICTURES):
        name = f"deep/{seed}.jpg" if seed % 2 else f"{seed}.png"
        (path / name).write_bytes(picture(seed, "JPEG" if seed % 2 else "PNG"))
    (path / "deep" / "text.png").write_bytes(b"no picture")
    (path / "empty.jpg").write_bytes(b"")
    (path / ".hidden.png").write_bytes(picture(0))
    return path


def make_shard(path, pictures):
    with open(path, "wb") as file:
        for number, content in enumerate(pictures):
            record = example.Record("image", content, (("label", number),))
            example.write_record(file, example.serialized(record, "given"))
    return path


def records(pattern):
    """What is in the shards that match a pattern: bytes of Examples, in the order of the names."""
    found = []
    for shard in storage.match(str(pattern)):
        with storage.open_file(shard.path) as file:
            while (content := example.read_record(file)) is not None:
                found.append(content)
    return found


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def failures(output):
    return {line["name"]: line["reason"] for line in map(json.loads, open(f"{output}.i2p_tf/failures.jsonl"))}


def test_pictures_become_what_bin_protect_makes_of_them(tmp_path, bulk, run_command):
    photos = make_folder(tmp_path / "photos")
    code, stdout, stderr = bulk(photos, f"{tmp_path}/many/")
    assert code == 1 and "7 pictures protected" in stdout and "2 failed" in stdout
    assert "empty.jpg: 0 bytes\n" in stderr
    assert failures(f"{tmp_path}/many/") == {
        "deep/text.png": "not a picture of a supported format",
        "empty.jpg": "0 bytes",
    }
    run_command("protect", f"--export={EXPORT}", photos, f"{tmp_path}/plain/")
    plain = {name.removesuffix(".png"): content for name, content in contents(tmp_path / "plain").items()}
    many = {name.rsplit(".", 2)[0]: content for name, content in contents(tmp_path / "many").items()}
    assert many == plain and len(many) == PICTURES
    assert "deep/1.jpg.png" in contents(tmp_path / "many")  # whole names: 1.jpg and 1.png don't meet


def test_a_name_may_be_any_bytes(tmp_path, bulk):
    (tmp_path / "in").mkdir()
    for number, content in enumerate((picture(0), b"none")):
        with open(os.path.join(os.fsencode(tmp_path / "in"), b"%d\xff.png" % number), "wb") as file:
            file.write(content)
    code, _, stderr = bulk(tmp_path / "in", tmp_path / "out.tfrecord")
    assert code == 1 and stderr.startswith("'1\\udcff.png': not a picture")
    assert b"0\xff.png" in records(tmp_path / "out.tfrecord-*")[0]


def test_pictures_become_records_with_their_names(tmp_path, bulk, model):
    photos = make_folder(tmp_path / "photos")
    code, *_ = bulk(f"{photos}/**.jpg", tmp_path / "out.tfrecord")
    assert code == 1 and set(failures(tmp_path / "out.tfrecord")) == {"empty.jpg"}
    assert [path.name for path in sorted(tmp_path.glob("out.tfrecord-*"))] == [
        "out.tfrecord-00000-of-00002",
        "out.tfrecord-00001-of-00002",
    ]
    expected = [protect.protect_bytes(photos / f"deep/{seed}.jpg", model, model.resize_rule) for seed in (1, 3, 5)]
    found = records(tmp_path / "out.tfrecord-*")
    assert [example.parse(content).picture for content in found] == expected
    assert b"deep/1.jpg" in found[0]


def test_records_keep_their_labels_and_nothing_else(tmp_path, bulk, model):
    pictures = [picture(seed) for seed in range(PICTURES)]
    shard = make_shard(tmp_path / "in.tfrecord-00000-of-00001", pictures)
    assert bulk(shard, tmp_path / "out.tfrecord")[0] == 0
    found = records(tmp_path / "out.tfrecord-*")
    parsed = list(map(example.parse, found))
    assert [record.labels for record in parsed] == [(("label", number),) for number in range(PICTURES)]
    assert [record.picture for record in parsed] == [
        protect.protect_bytes(content, model, model.resize_rule) for content in pictures
    ]
    assert b"given" not in found[0] and b"in.tfrecord-00000-of-00001/00000000" in found[0]
    assert len(list(tmp_path.glob("out.tfrecord-*"))) == 3  # parts of three


def test_damaged_records_and_a_shard_that_is_cut_off_are_named(tmp_path, bulk):
    whole = make_shard(tmp_path / "a.tfrecord", [picture(seed) for seed in range(5)]).read_bytes()
    size = len(whole) // 5
    flipped = bytearray(whole)
    flipped[size + 100] ^= 1  # in the second record
    (tmp_path / "a.tfrecord").write_bytes(flipped)
    (tmp_path / "b.tfrecord").write_bytes(whole[: 3 * size + 50])
    make_shard(tmp_path / "c.tfrecord", [b"none"])
    (tmp_path / "d.tfrecord.gz").write_bytes(gzip.compress(whole[:size]))
    code, stdout, _ = bulk(f"{tmp_path}/*.tfrecord*", f"{tmp_path}/out/")
    assert code == 1 and "8 pictures protected" in stdout
    assert failures(f"{tmp_path}/out/") == {
        "a.tfrecord/00000001": "its checksum is wrong",
        "b.tfrecord/00000003": "the shard is cut off or damaged from here on",
        "c.tfrecord/00000000": "not a picture of a supported format",
    }
    assert set(contents(tmp_path / "out")) == {
        *(f"a.tfrecord/{number:08d}.png" for number in (0, 2, 3, 4)),
        *(f"b.tfrecord/{number:08d}.png" for number in (0, 1, 2)),
        "d.tfrecord.gz/00000000.png",
    }


def test_the_same_command_goes_on(tmp_path, bulk):
    photos, output = make_folder(tmp_path / "photos"), tmp_path / "out"
    bulk(photos, f"{output}/")
    made = contents(output)
    (output / "deep" / "1.jpg.png").unlink()
    code, stdout, _ = bulk(photos, f"{output}/")
    assert code == 1 and "3 pictures protected" in stdout and "4 done earlier, 2 failed" in stdout  # its part
    assert contents(output) == made and len(failures(f"{output}/")) == 2

    (photos / "new.png").write_bytes(picture(9))
    code, _, stderr = bulk(photos, f"{output}/")
    assert code == 2 and "holds the output of another job (it differs in inputs)" in stderr
    code, stdout, _ = bulk(photos, f"{output}/", "--overwrite")
    assert code == 1 and "8 pictures protected" in stdout


def test_a_picture_that_could_not_be_read_is_tried_again(tmp_path, bulk, monkeypatch):
    (tmp_path / "a.png").write_bytes(picture(0))
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", denying(tmp_path / "a.png"))
        code, _, stderr = bulk(tmp_path / "a.png", f"{tmp_path}/out/")
    assert code == 1 and "a.png: cannot be read: permission denied" in stderr
    assert bulk(tmp_path / "a.png", f"{tmp_path}/out/")[0] == 0 and not failures(f"{tmp_path}/out/")


def denying(path, opened=open):
    """`open`, but for one file that may not be read."""

    def denied(file, *arguments, **options):
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *arguments, **options)

    return denied


def test_files_of_others_are_left_alone(tmp_path, bulk):
    make_shard(tmp_path / "in.tfrecord", [picture(0)])
    (tmp_path / "out.tfrecord-old").write_bytes(b"old")
    code, _, stderr = bulk(tmp_path / "in.tfrecord", tmp_path / "out.tfrecord")
    assert code == 2 and "out.tfrecord-old is there already" in stderr
    assert bulk(tmp_path / "in.tfrecord", tmp_path / "out.tfrecord", "--overwrite")[0] == 0
    assert [path.name for path in tmp_path.glob("out.tfrecord-*")] == ["out.tfrecord-00000-of-00001.00000"]


def test_a_process_loads_the_model_once(tmp_path, bulk, monkeypatch):
    loaded = []
    load = transform.Transform.__init__
    monkeypatch.setattr(transform.Transform, "__init__", lambda *given: (loaded.append(1), load(*given))[1])
    make_folder(tmp_path / "photos")
    level = logging.getLogger().level
    bulk(tmp_path / "photos", f"{tmp_path}/out/")  # three units
    assert logging.getLogger().level == level
    assert len(loaded) == 2  # the command's, to check it, and the pipeline's


@pytest.mark.parametrize(
    "given, message",
    [
        (["--runner=Direct"], "unknown runner 'Direct'; allowed: DirectRunner, .* Did you mean DirectRunner?"),
        (["photo.jpg"], "unexpected argument 'photo.jpg'; with --runner the pictures are --input=PATTERN"),
        (["--input="], "--input is missing"),
        (["--input=nowhere/*.jpg"], "no file matches .*nowhere/[*].jpg"),
        (["--input=s3://bucket/*"], "s3:// needs an extra: pip install 'apache-beam\\[aws\\]'"),
        (["--output=ftp://host/out/"], "Beam has no file system for ftp:// here"),
        (["--output=protected"], "the output is a folder/"),
        (["--output=[a].tfrecord"], "without [*]"),
        (["--encryption=etc"], "--encryption and --runner exclude each other"),
        (["--beam_options=--streaming='"], "--beam_options has an option that Beam can't read"),
        (["--runner=SparkRunner"], "--threads is of DirectRunner"),
        (["--threads=0"], "threads must be at least 1"),
    ],
)
def test_bad_input_is_one_line(tmp_path, bulk, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(picture(0))
    code, stdout, stderr = bulk("a.png", "out/", *given)
    assert code == 2 and not stdout and stderr.count("\n") == 1
    assert re.search(message, stderr), stderr


def test_bulk_flags_need_a_runner(run_command):
    code, _, stderr = run_command("protect", "--input=a", "--output=b/")
    assert code == 2 and "--input belongs to --runner" in stderr


def test_without_beam_the_extra_is_named(tmp_path, bulk, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, stderr = bulk(tmp_path, "out/")
    assert code == 2 and stderr == (
        "error: --runner needs Apache Beam, which is not installed: pip install -c constraints-beam.txt '.[beam]'\n"
    )


def test_an_output_that_cannot_be_written(tmp_path, bulk):
    (tmp_path / "a.png").write_bytes(picture(0))
    (tmp_path / "file").write_bytes(b"")
    code, _, stderr = bulk(tmp_path / "a.png", f"{tmp_path}/file/out/")
    assert code == 1 and stderr.count("\n") == 1 and "Not a directory" in stderr


def test_a_step_that_fails_ends_the_command_in_one_line(tmp_path, bulk, monkeypatch):
    (tmp_path / "a.png").write_bytes(picture(0))
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(png, "encode", lambda image: (_ for _ in ()).throw(full))
    code, _, stderr = bulk(tmp_path / "a.png", f"{tmp_path}/out/")
    assert code == 1 and stderr == "error: OSError: [Errno 28] No space left on device\n"
    monkeypatch.undo()
    assert bulk(tmp_path / "a.png", f"{tmp_path}/out/")[0] == 0


@pytest.mark.slow
def test_examples_are_tensorflow_s(tmp_path):
    tf = pytest.importorskip("tensorflow")
    feature = {
        "image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"png"])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[-3])),
        "box": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0])),
        "pixels": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2])),
    }
    content = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    record = example.parse(content)
    assert record == example.Record("image/encoded", b"png", (("label", -3),))
    with open(tmp_path / "shard", "wb") as file:
        example.write_record(file, example.serialized(record, "n"))
    (written,) = tf.data.TFRecordDataset(str(tmp_path / "shard"))
    kept = tf.train.Example.FromString(written.numpy()).features.feature
    assert kept["image/encoded"].bytes_list.value == [b"png"] and kept["name"].bytes_list.value == [b"n"]
    assert kept["label"].int64_list.value == [-3] and set(kept) == {"image/encoded", "label", "name"}
    for damaged in (b"\xff", b"", tf.train.Example().SerializeToString()):
        with pytest.raises(example.RecordError):
            example.parse(damaged)


def test_no_training_library_is_loaded():
    code = "import sys, i2p_tf.bulk.run, i2p_tf.bulk.worker; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tensorflow", "keras", "sklearn", "jax"} & set(loaded)


def children(pid):
    """Workers that a command has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"i2p_tf.bulk.worker" in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")
def test_killed_processes_lose_nothing(tmp_path, bulk):
    """A worker that is killed ends the command in one line; a command that is killed leaves no worker behind."""
    photos, output = make_folder(tmp_path / "photos"), f"{tmp_path}/out/"
    flags = [f"--export={EXPORT}", "--runner=DirectRunner", "--threads=2", f"--input={photos}", f"--output={output}"]
    for victim in ("worker", "command"):
        process = subprocess.Popen(
            [sys.executable, "-m", "i2p_tf.cli.protect", *flags], stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: len(children(process.pid)) == 2)  # noqa: B023
        workers = children(process.pid)
        os.kill(workers[0] if victim == "worker" else process.pid, signal.SIGKILL)
        _, stderr = process.communicate(timeout=120)
        if victim == "worker":
            assert process.returncode == 1
            assert stderr == "error: a worker process has ended with exit code -9; the same command goes on\n"
        wait_for(lambda: not any(os.path.exists(f"/proc/{worker}") for worker in workers))  # noqa: B023
    assert bulk(photos, output)[0] == 1
    assert len(contents(tmp_path / "out")) == PICTURES


def listening(pid):
    """The addresses on which a process listens, as the kernel writes them."""
    sockets = {file.readlink().name for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_socket()}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ports are found in /proc")
def test_workers_are_served_on_this_machine_alone(tmp_path):
    photos = make_folder(tmp_path / "photos")
    flags = [f"--export={EXPORT}", "--runner=DirectRunner", "--threads=2", f"--input={photos}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "i2p_tf.cli.protect", *flags, f"--output={tmp_path}/out/"], stderr=subprocess.PIPE
    )
    wait_for(lambda: len(children(process.pid)) == 2)
    addresses = listening(process.pid)
    process.kill()
    process.communicate(timeout=120)
    here = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}  # 127.0.0.1, ::1
    assert addresses and addresses <= here
