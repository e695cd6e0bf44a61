"""The README is short, links lead somewhere, and each command on a page is right, and run or marked as not run."""

import importlib
import pathlib
import re
import shlex
import zipfile

import pytest

from i2p_tf import drawing, presets
from i2p_tf.attacks.suite import SUITES
from i2p_tf.cli import train
from i2p_tf.data import sources
from i2p_tf.encryption import SCHEMES
from i2p_tf.export import VARIANTS
from i2p_tf.pictures import RESIZE_RULES

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = {page for page in PAGES if page.name == "report.md" or page.parent.name in ("tradeoff", "paper_table")}
WRITTEN = [page for page in PAGES if page not in GENERATED and page.name != "CHANGELOG.md"]
NO_ABSL_FLAGS = {"test"}  # bin/test hands them to pytest
PROGRAM = r"(?:bin/|\.venv/|(?:pip|npm|npx|curl|cd|docker|kubectl|python3|ruff|pre-commit) )"
NOT_RUN = r"<!-- not run by the tests: (?P<reason>[^>]+) -->\n\n"
BLOCK = re.compile(rf"(?:{NOT_RUN})?(?P<code>(?:^ {{4}}.*\n|^\n(?= {{4}}))+)", re.MULTILINE)
FENCED = re.compile(r"^```\w+\n.*?^```$", re.MULTILINE | re.DOTALL)

# A test that runs a command with these flags, or with more; mostly on less data, and with less training.
RUN_BY = {
    "bin/demo --web": "cli/test_demo_command.py::test_the_served_accuracy_is_the_evaluated_one",
    "bin/test --fast": "test_launcher.py::test_test_command",
    "bin/train --dataset --preset --image_size --run_dir": (
        "cli/test_train_command.py::test_a_run_has_its_files_and_its_table"
    ),
    "bin/train --dataset --image_size --classifier": (
        "cli/test_own_classifier_command.py::test_plain_accuracy_is_that_of_keras_and_it_can_be_exported"
    ),
    "bin/evaluate --run_dir": (
        "cli/test_train_command.py::test_evaluate_gives_the_same_results_and_keeps_what_others_wrote"
    ),
    "bin/attack --run_dir": (
        "cli/test_attack_command.py::test_a_killed_attack_goes_on_and_a_failed_sanity_check_is_a_failure"
    ),
    "bin/report --run_dir --output": (
        "cli/test_report_command.py::test_pictures_of_a_former_report_are_removed_and_no_others"
    ),
    "bin/report --page": "cli/test_report_command.py::test_recorded_runs_make_one_page",
    "bin/export --run_dir --export": "cli/test_export_command.py::test_export_and_protect",
    "bin/protect --export": "client/test_protect.py::test_one_picture",
    "bin/protect --encryption --key_file --new_key --image_size": (
        "client/test_keyed_transform.py::test_the_key_file_gives_the_picture_back"
    ),
    "bin/protect --export --runner --input --output": (
        "bulk/test_bulk.py::test_pictures_become_what_bin_protect_makes_of_them"
    ),
    "bin/serve --export": "serving/stand_in/test_server.py::test_swaps_drop_no_request",
    "bin/serve --export --web": "cli/test_demo_command.py::test_the_served_accuracy_is_the_evaluated_one",
    "bin/serve --export --allow_origin": (
        "serving/test_tf_serving.py::test_tensorflow_model_server_is_started_if_it_is_there"
    ),
    "bin/serve --export --output": "serving/test_tf_serving.py::test_a_folder_is_written_and_nothing_served",
    "bin/serve --export --output --cores": "serving/test_kubernetes.py::test_flags_of_bin_serve",
    "bin/classify --export --server --top --json": "cli/test_classify_command.py::test_text_and_json_say_the_same",
}
ALLOWED = {
    "preset": presets.PRESETS,
    "suite": SUITES,
    "variants": VARIANTS,
    "encryption": SCHEMES,
    "resize": RESIZE_RULES,
    "rates": [str(bits) for bits in drawing.BITS],
    "bits": [str(bits) for bits in drawing.BITS],
}


def relative(path):
    return str(path.relative_to(ROOT))


def blocks(page):
    """The blocks of commands on a page: why it is not run, None if it is, and the words of each command."""
    for block in BLOCK.finditer(FENCED.sub("", page.read_text())):
        lines = [line[4:] for line in block["code"].replace("\\\n", " ").splitlines()]
        found = [shlex.split(line, comments=True) for line in lines if re.match(PROGRAM, f"{line} ")]
        if found:
            yield block["reason"], found


def commands(page):
    """The words of each command of bin/ in the blocks of a page."""
    return [words for _, found in blocks(page) for words in found if words[0].startswith("bin/")]


def flags_of(words):
    """Names of the flags in a command."""
    return {word[2:].partition("=")[0] for word in words if re.match(r"--\w", word)}


def anchors(page):
    """The names that headings have on GitHub."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 90


def test_the_readme_has_one_table():
    assert len(re.findall(r"^\|---", README.read_text(), re.MULTILINE)) == 1


@pytest.mark.parametrize("page", WRITTEN, ids=relative)
def test_lines_have_at_most_100_characters(page):
    lines = FENCED.sub("", page.read_text()).splitlines()
    assert not [line for line in lines if len(line) > 100 and not line.startswith(("|", "![", "<!--"))]


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_to_files(page):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_commands_are_as_their_flags_say(page, monkeypatch, tmp_path):
    """Capitals stand for what the reader fills in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "check_place", lambda name: None)
    for program, *arguments in commands(page):
        assert (ROOT / program).is_file(), program
        if (name := program.removeprefix("bin/")) not in NO_ABSL_FLAGS:
            command_flags = importlib.import_module(f"i2p_tf.cli.{name}").FLAGS
            assert flags_of(arguments) <= {*command_flags}, arguments
            try:
                command_flags([name, *(word for word in arguments if not re.fullmatch(r"--\w+=\$?[A-Z]+", word))])
                check_values(name, command_flags)
            finally:
                command_flags.unparse_flags()


def check_values(name, command_flags):
    """Whether values of flags are among those that the command would take."""
    given = {flag: command_flags[flag].value for flag in command_flags if command_flags[flag].present}
    for flag in ALLOWED.keys() & given.keys():
        values = given[flag] if isinstance(given[flag], list) else [str(given[flag])]
        assert set(values) <= {*ALLOWED[flag]}, values
    if name == "train":
        for value in given.values():
            if str(value).endswith((".keras", ".h5")):
                write_network(pathlib.Path(value))
            if str(value).endswith("saved_model"):
                pathlib.Path(value).mkdir()
                pathlib.Path(value, "saved_model.pb").touch()
        train.config_from_flags()


def write_network(path):
    """A file that passes for one of Keras until it is loaded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_flags_in_the_text_exist(page):
    for code in re.findall(r"`(bin/[^`]+)`", page.read_text()):
        program, *arguments = code.split()
        if program.removeprefix("bin/") not in NO_ABSL_FLAGS and flags_of(arguments):
            known = importlib.import_module(f"i2p_tf.cli.{program.removeprefix('bin/')}").FLAGS
            assert flags_of(arguments) <= {*known, "help"}, code


@pytest.mark.parametrize("page", WRITTEN, ids=relative)
def test_commands_are_run_by_a_test_or_marked(page):
    for reason, found in blocks(page):
        for words in found if reason is None else []:
            forms = [form.split() for form in RUN_BY]
            run = any(words[0] == program and flags_of(words) <= flags_of(flags) for program, *flags in forms)
            assert run, f"{words}: no test of RUN_BY runs it; write <!-- not run by the tests: WHY --> above it"


def test_the_tests_that_run_commands_exist():
    shared = (ROOT / "tests/conftest.py").read_text()
    for form, test in RUN_BY.items():
        path, function = test.split("::")
        text = (ROOT / "tests" / path).read_text()
        assert f"def {function}(" in text
        assert all(f"--{flag}" in text + shared for flag in flags_of(form.split())), test


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_presets_exist(page):
    assert set(re.findall(r"--preset=(\w+)", page.read_text())) <= {*presets.PRESETS}


@pytest.mark.parametrize("page", WRITTEN, ids=relative)
def test_python_on_the_pages_is_python(page):
    for code in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        compile(code, relative(page), "exec")
