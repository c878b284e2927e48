"""The command line `bayesmargins`: one file a command, which reads what was typed and asks the package.

`program` has the commands together and turns what goes wrong into one line and an exit code; `fits` the options of
whatever fits a model; `named_files` data files and saved fits; `typed` text to values; `command_output` files and what
is said.
"""

from bayesmargins.command_line.program import main

__all__ = ["main"]
