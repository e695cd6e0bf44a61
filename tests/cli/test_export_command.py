import dataclasses
import subprocess
import sys

import pytest

from i2p_tf import presets
from i2p_tf.run_dir import RunDir


def run(*arguments):
    command = [sys.executable, "-m", "i2p_tf.cli.export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_bad_commands(tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, message in [
        ([], "--run_dir is missing"),
        (["x"], "unexpected argument 'x'"),
        ([f"--run_dir={tmp_path}"], "is no run directory"),
        ([f"--run_dir={tmp_path}", "--variants=float32,int9"], "Did you mean int8?"),
    ]:
        result = run(*arguments)
        assert result.returncode == 2 and len(result.stderr.splitlines()) == 1 and message in result.stderr


def test_a_folder_of_something_else_is_refused(tmp_path):
    run_dir = RunDir(tmp_path)
    run_dir.claim(presets.smoke("digits"))
    run_dir.classifier.write_text("trained")
    run_dir.transform.write_text("trained")
    result = run(f"--run_dir={tmp_path}", f"--export={tmp_path}")
    assert result.returncode == 2 and "is not empty and no bundle" in result.stderr
    assert run_dir.transform.read_text() == "trained"


def test_qat_without_its_libraries_says_what_to_install(tmp_path):
    code = "import importlib.util; importlib.util.find_spec = lambda name: None; "
    code += "from i2p_tf.cli import export; export.run()"
    command = [sys.executable, "-c", code, f"--run_dir={tmp_path}", "--variants=qat"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert "needs tensorflow_model_optimization and tf_keras" in result.stderr


def test_qat_of_anything_but_a_u_net_of_the_paper_is_refused(tmp_path):
    run_dir = RunDir(tmp_path / "run")
    run_dir.claim(dataclasses.replace(presets.smoke("digits"), transform="bottleneck"))
    run_dir.classifier.write_text("trained")
    run_dir.transform.write_text("trained")
    result = run(f"--run_dir={run_dir.path}", "--variants=qat", f"--export={tmp_path / 'export'}")
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert "'qat'" in result.stderr and "'bottleneck'" in result.stderr


@pytest.mark.slow
def test_export_and_protect(trained_run, tmp_path):
    path = tmp_path / "exports" / "small"
    result = run(f"--run_dir={trained_run.path}", f"--export={path}", "--tflite", "--variants=float32")
    assert result.returncode == 0, result.stderr
    assert "float32" in result.stdout and str(path) in result.stdout
    assert sorted(entry.name for entry in path.iterdir()) == [
        "MODEL_CARD.md",
        "manifest.json",
        "test_vectors.json",
        "transform_float32.tflite",
    ]
    command = [sys.executable, "-m", "i2p_tf.cli.protect", "-", "-"]
    picture = subprocess.run(
        command, cwd=tmp_path, input=(b"P6 2 2 255 " + bytes(12)), capture_output=True
    )  # finds the only bundle in exports/
    assert picture.stdout.startswith(b"\x89PNG") and picture.stderr == b""
