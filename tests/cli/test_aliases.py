"""Former names of flags: they work, and nothing shows them."""

import importlib

import pytest
from absl import flags

from i2p_tf.cli import aliases, app
from i2p_tf.errors import InputError


@pytest.fixture
def command_flags():
    flag_values = flags.FlagValues()
    flags.DEFINE_list("export", None, "folders", flag_values=flag_values)
    aliases.define("transform", "export", flag_values)
    return flag_values


@pytest.mark.parametrize("arguments", [["--transform=a,b"], ["--transform", "a,b"], ["--export=c", "--transform=a,b"]])
def test_a_former_name_sets_the_flag(command_flags, arguments, monkeypatch):
    monkeypatch.setattr("sys.argv", ["command", *arguments])
    assert app._parse(command_flags) == []
    assert command_flags.export == ["a", "b"] and command_flags["export"].present


def test_help_and_suggestions_leave_it_out(command_flags, monkeypatch):
    assert "transform" not in app._help(command_flags) and "--export=EXPORT" in app._help(command_flags)
    monkeypatch.setattr("sys.argv", ["command", "--transfrom=a"])
    with pytest.raises(InputError) as caught:
        app._parse(command_flags)
    assert "--transform'" not in str(caught.value) and "Did you mean --transform" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "former", "name"),
    [
        ("protect", "transform", "export"),
        ("classify", "transform", "export"),
        ("serve", "write_config", "output"),
    ],
)
def test_what_commands_took_before(command, former, name):
    command_flags = importlib.import_module(f"i2p_tf.cli.{command}").FLAGS
    shown = aliases.shown(command_flags)
    assert former in command_flags and former not in shown and name in shown
