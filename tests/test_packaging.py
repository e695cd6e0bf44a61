"""pyproject.toml, constraints.txt, requirements.lock and what is installed agree."""

import ast
import importlib
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools.config.pyprojecttoml import read_configuration

import i2p_tf

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project():
    """What pyproject.toml says of the package."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def built():
    """What setuptools makes of pyproject.toml."""
    return read_configuration(ROOT / "pyproject.toml")


@pytest.fixture(scope="module")
def requirements(project):
    """What the base install and all extras require, but for `beam`, which has an environment of its own."""
    extras = project["optional-dependencies"]
    return project["dependencies"] + [text for name in extras.keys() - {"all", "beam"} for text in extras[name]]


@pytest.fixture(scope="module")
def pins():
    """Versions by name, from constraints.txt."""
    return pinned("constraints.txt")


def pinned(name):
    """Versions by name, from a file of constraints."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    matches = [re.fullmatch(r"([\w.-]+)==([\w.+]+)", line) for line in lines]
    assert all(matches)
    return {canonicalize_name(match[1]): match[2] for match in matches}


def closure(requirements):
    """Names of everything that an install of these requirements brings here."""
    found = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        if name in found and not requirement.extras:
            continue
        found.add(name)
        for dependency in metadata.requires(name) or []:
            waiting += [(Requirement(dependency), asked) for asked in requirement.extras or [""]]
    return found


def test_version(built):
    assert built["project"]["version"] == i2p_tf.__version__


def test_changelog_and_citation_name_this_version():
    version, date = re.search(r"^## (\S+) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE).groups()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert version == citation["version"] == i2p_tf.__version__
    assert date == citation["date-released"].isoformat()


def test_all_is_every_extra(project):
    extras = dict(project["optional-dependencies"])
    (everything,) = map(Requirement, extras.pop("all"))
    assert everything.name == project["name"] and everything.extras == set(extras) - {"beam"}


def test_bulk_work_differs_in_what_beam_cannot_take(pins):
    beam = pinned("constraints-beam.txt")
    older = {name for name in pins.keys() & beam.keys() if pins[name] != beam[name]}
    assert older == {"pillow", "protobuf", "pyarrow", "python-dateutil"} and "apache-beam" in beam


def test_requirements_have_the_form_that_the_launcher_reads(requirements):
    for requirement in requirements:
        assert re.fullmatch(r"[\w-]+>=[\d.]+", requirement)


def test_constraints_pin_exactly_what_an_installation_brings(requirements, pins):
    assert closure(requirements) == set(pins)


def test_the_lock_has_the_pinned_versions_with_hashes(pins):
    text = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^(\S+)==(\S+) ; (.+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert {canonicalize_name(name): version for name, version, *_ in entries} == pins
    assert text.count("--hash=") == sum(hashes.count("--hash=") for *_, hashes in entries)
    for _, _, marker, _ in entries:
        for version in ("3.11.0", "3.12.0", "3.13.0"):
            for machine in ("x86_64", "aarch64"):
                here = {"python_full_version": version, "sys_platform": "linux", "platform_machine": machine}
                assert Marker(marker).evaluate(here)
    assert "://" not in text


def test_what_builds_the_package_is_pinned(pins):
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert build == [f"setuptools=={pins['setuptools']}"]


def test_pins_meet_the_requirements(requirements, pins):
    for text in requirements:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_pins_agree_with_each_other(pins):
    for name in pins:
        for requirement in map(Requirement, metadata.requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), (
                    f"{name}: {requirement}"
                )


def test_base_install_has_no_training_framework(project):
    heavy = {"tensorflow", "keras", "tf-keras", "jax", "torch"}
    assert not heavy & closure(project["dependencies"])


def test_every_import_is_declared(requirements):
    declared = {canonicalize_name(Requirement(requirement).name) for requirement in requirements} | {"apache-beam"}
    distributions = metadata.packages_distributions() | {"apache_beam": ["apache-beam"]}  # it may not be installed
    for file in sorted((ROOT / "i2p_tf").rglob("*.py")):
        for module in third_party_imports(file):
            names = {canonicalize_name(name) for name in distributions[module]}
            assert names & declared, f"{file} imports {module}, which pyproject.toml doesn't name"


def third_party_imports(file):
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"i2p_tf"}


def test_every_package_is_included(built):
    folders = {file.parent.relative_to(ROOT) for file in (ROOT / "i2p_tf").rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} == set(built["tool"]["setuptools"]["packages"])


def test_every_launcher_is_an_entry_point(project):
    launchers = {file.name: file.read_text() for file in (ROOT / "bin").iterdir() if not file.name.startswith("_")}
    modules = {name: re.findall(r"i2p_tf\.cli\.\w+", text) for name, text in launchers.items()}
    expected = {f"i2p-{name}": f"{found[0]}:run" for name, found in modules.items() if found}
    assert project["scripts"] == expected


def test_entry_points_exist(project):
    for entry_point in project["scripts"].values():
        module, function = entry_point.split(":")
        assert callable(getattr(importlib.import_module(module), function))
