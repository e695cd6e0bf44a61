"""Former names of flags: they still work, and neither `--help` nor a suggestion shows them."""

from absl import flags


def define(former: str, name: str, flag_values: flags.FlagValues) -> None:
    """Lets a flag be given by its former name as well.

    Args:
        former: the name that it had.
        name: the name that it has, which is defined already.
        flag_values: the command's own.
    """
    flags.DEFINE_alias(former, name, flag_values=flag_values)
    flag_values[former].help = ""  # what has no help text is not shown


def shown(flag_values: flags.FlagValues) -> list[str]:
    """Names of the flags without the former ones."""
    return [name for name in flag_values if flag_values[name].help]
