"""The same functions from a terminal.

Results go to stdout, everything else to stderr. Exit 0: done; 1: part of the work failed; 2: the request was wrong.
"""

import os
import sys

import typer

from .. import settings
from . import data, learning
from .options import app
from .printing import say

INTERRUPTED = 130
__all__ = ["app", "data", "learning", "main"]


def main():
    """Run the command line; any error of the user's is one line on stderr."""
    settings.bound_threads()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed: now nowhere, also for processes that are started; not the next file
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115 - until the end
    sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a name that it cannot show costs nobody the result
    try:
        code = app(standalone_mode=False)
    except BrokenPipeError:  # whoever reads has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except typer.TyperException as error:
        say(" ".join(error.format_message().split()))
        code = 2
    except (ValueError, OSError) as error:
        say(" ".join(str(error).split()))
        code = 2
    if code == INTERRUPTED:  # Typer's own exit code, too, where it catches the interrupt
        say("stopped; what was not finished has replaced nothing")
    sys.exit(code)
