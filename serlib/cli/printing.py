"""Print results on stdout, and all else on stderr; no terminal obeys a name."""

import contextlib
import json
import shutil
import sys

from .. import storage


def say(line):
    print(f"serlib: {storage.printable(line)}", file=sys.stderr)


@contextlib.contextmanager
def printing():
    """Print at once, and say so where stdout takes nothing."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"stdout cannot be written to ({error.strerror}); expected room. Name another place") from None


def print_lines(*lines):
    """Print lines on stdout, whatever names they hold: no terminal obeys one."""
    with printing():
        for line in lines:
            print(storage.printable(line))


def print_json(document):
    """Print a JSON document in ASCII, which is the same in every encoding of a terminal or a pipe."""
    print_lines(*json.dumps(document, indent=1).split("\n"))


def print_table(table, title):
    """Print a DataFrame as a table on stdout."""
    import pandas as pd

    numeric = [pd.api.types.is_numeric_dtype(table[column]) for column in table.columns]
    print_rows([table.index.name or "", *map(str, table.columns)], table.itertuples(), [False, *numeric], title)


def print_rows(header, rows, is_number, title=""):
    """Print rows as a table on stdout; columns of numbers are aligned to the right."""
    from rich.console import Console
    from rich.table import Table as RichTable

    printed = RichTable(title=in_lines(title), title_justify="left", title_style="bold")
    for name, right in zip(header, is_number, strict=True):
        how = {"no_wrap": True} if name == "name" else {"overflow": "fold"}  # names are copied
        printed.add_column(name, justify="right" if right else "left", **how)
    for row in rows:
        printed.add_row(*(f"{value:.3f}" if isinstance(value, float) else in_lines(value) for value in row))
    with printing():
        width = shutil.get_terminal_size().columns  # COLUMNS=0 means that nobody knows
        Console(markup=False, emoji=False, width=width).print(printed)  # brackets and colons in a name mean themselves


def in_lines(value):
    return "\n".join(map(storage.printable, str(value).split("\n")))
