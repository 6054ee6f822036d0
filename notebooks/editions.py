"""Write the notebooks to be handed out: for students without solutions, for teachers with them.

``python notebooks/editions.py student`` writes them into ``build/student``, ``teacher`` into ``build/teacher``. The
solutions lie in ``notebooks/solutions``, a file a notebook.
"""

import argparse
import re
import sys

import nbformat
from nbformat import v4

import build
from serlib import settings


def student(notebook):
    """Return a notebook without its claims, and without links that lead out of its folder; it is changed."""
    notebook.cells = [cell for cell in notebook.cells if "claims" not in cell.metadata.get("tags", ())]
    for cell in notebook.cells:
        cell.source = re.sub(r"\[([^]]*)\]\(\.\.[^)]*\)", r"\1", cell.source)
    return notebook


def teacher(notebook, solutions):
    """Return a notebook with a solution after each exercise; it is changed.

    Parameters
    ----------
    notebook : NotebookNode
    solutions : str
        Markdown: a section ``## n`` for each exercise n, of prose and of code between fences.

    Returns
    -------
    NotebookNode
    """
    _, *sections = re.split(r"^## (\d+)\n", solutions, flags=re.MULTILINE)
    for number, section in zip(sections[::2], sections[1::2], strict=True):
        place = max(k for k, cell in enumerate(notebook.cells) if cell.id.startswith(f"exercise-{number}"))
        notebook.cells[place + 1 : place + 1] = solution_cells(number, section)
    return notebook


def solution_cells(number, section):
    """Return a section of solutions as cells: what stands between fences is code."""
    parts = re.split(r"^```python\n(.*?)^```\n", section, flags=re.MULTILINE | re.DOTALL)
    cells = []
    for k, part in enumerate(parts):
        if part.strip():
            new_cell = v4.new_code_cell if k % 2 else v4.new_markdown_cell
            cells.append(new_cell(part.strip(), id=f"solution-{number}-{k}", metadata={"tags": ["solution"]}))
    return cells


def solutions_of(path):
    """Return the solutions of a notebook's exercises, as Markdown."""
    return (path.parent / "solutions" / f"{path.stem}.md").read_text(encoding="utf-8")


def main(arguments):
    """Write all notebooks in an edition."""
    parser = argparse.ArgumentParser(description="Write the notebooks to be handed out.")
    parser.add_argument("edition", choices=("student", "teacher"))
    edition = parser.parse_args(arguments).edition
    folder = settings.root() / "build" / edition
    for path in build.notebooks():
        notebook = student(nbformat.read(path, as_version=4))
        if edition == "teacher":
            notebook = teacher(notebook, solutions_of(path))
        build.write(folder / path.name, nbformat.writes(notebook))
    print(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
