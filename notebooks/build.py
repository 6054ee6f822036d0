"""Execute the notebooks without a browser, and make the book: a static site that loads nothing from anywhere.

``python notebooks/build.py`` runs in the profile of ``SERLIB_PROFILE`` and writes into ``build/<profile>/``. It ends
with exit code 1 if a cell raises, if a widget caught an error that nobody would have seen, or if a link of the book
leads nowhere. With ``--changed`` it executes only what has changed since it was last executed.
"""

import argparse
import asyncio
import hashlib
import html
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import joblib
import nbclient
import nbformat

from serlib import corpora, features, index, settings, storage, widgets

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
AWAKE_S = 2
TRACEBACK = "Traceback (most recent call last)"


def main(arguments=()):
    """Execute the notebooks, two at once where they are quick, write the book, and return the exit code."""
    parser = argparse.ArgumentParser(description="Execute the notebooks, and make the book of them.")
    parser.add_argument("--changed", action="store_true", help="execute only what has changed since the last time")
    options = parser.parse_args(arguments)
    here = settings.current()
    build = settings.root() / "build" / here.profile
    paths = notebooks()
    kept = {path: build / "notebooks" / path.name for path in paths}
    made_of = {path: fingerprint(path) for path in paths}
    wanted = [path for path in paths if not (options.changed and is_executed(kept[path], made_of[path]))]
    at_once = 1
    print(f"profile {here.profile}: {len(paths)} notebooks, {len(wanted)} to be executed", flush=True)
    if wanted and here.profile == "tiny":
        print("  synthetic speech is written, if it is not there", flush=True)  # here, so that no two write the same
        features.parallel(n_jobs=-1)(joblib.delayed(index.corpus_folder)(name) for name in corpora.NAMES)
        at_once, os.environ["LOKY_MAX_CPU_COUNT"] = 2, "1"  # processes take longer to start than what they would do
    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        jobs = {pool.submit(executed, path, kept[path], made_of[path]): path for path in wanted}
        for number, job in enumerate(as_completed(jobs), 1):
            path, (notebook, failure) = jobs[job], job.result()
            if failure:
                pool.shutdown(wait=False, cancel_futures=True)
                print(f"\n{path.name} failed\n{failure}\n", file=sys.stderr)
                return 1
            passed_s = time.perf_counter() - started
            left_s = passed_s / number * (len(wanted) - number)
            seconds = notebook.metadata["executed"]["seconds"]
            print(
                f"  {path.name:32} {seconds:5.1f} s   {number} of {len(wanted)}, about {left_s:.0f} s left", flush=True
            )
    print("  the pages of the book", flush=True)
    if not make_book(build / "book", build / "notebooks"):
        return 1
    print(build / "book" / "index.html")
    return 0


def executed(path, kept, made_of):
    """Execute a notebook and keep it; return it, and which cell failed and how."""
    started = time.perf_counter()
    notebook, failure = execute(nbformat.read(path, as_version=4), HERE)
    seconds = round(time.perf_counter() - started, 1)
    profile = settings.current().profile
    notebook.metadata["executed"] = {"made_of": "" if failure else made_of, "seconds": seconds, "profile": profile}
    write(kept, nbformat.writes(notebook))
    return notebook, failure


def fingerprint(path):
    """Return a checksum of a notebook and of the package that it runs on."""
    package = (file for file in Path(settings.__file__).parent.rglob("*") if file.is_file())
    files = [path, *sorted(file for file in package if "__pycache__" not in file.parts)]
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def is_executed(path, made_of):
    """Return whether a notebook's executed edition is there, and was made of what is there now."""
    return path.is_file() and nbformat.read(path, as_version=4).metadata.get("executed", {}).get("made_of") == made_of


def notebooks():
    """Return the notebooks' paths, in order."""
    return sorted(HERE.glob("[0-9][0-9]_*.ipynb"))


class Client(nbclient.NotebookClient):
    """Executes a notebook, and collects the errors in every message of cells and widgets, also those hidden later.

    An error in a thread is found if the notebook waits for the thread. One in a widget's JavaScript is not.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.errors = {}

    async def async_execute_cell(self, *args, **kwargs):
        asking = asyncio.ensure_future(self._ask())
        try:
            return await super().async_execute_cell(*args, **kwargs)
        finally:
            asking.cancel()

    async def _ask(self):
        """Ask the kernel something every few seconds, and look for replies: both may lie unread.

        See ipython/ipykernel#1554, and jupyter/nbclient#312: what is sent while a reply arrives wakes nobody.
        """
        while True:
            await asyncio.sleep(AWAKE_S)
            self.kc.kernel_info()
            await self.kc.shell_channel.socket.poll(1)

    def process_message(self, msg, cell, cell_index):
        content = {} if msg["msg_type"] == "execute_input" else msg["content"]
        output = content.get("data", {}).get("state") or content
        where = f"cell {cell_index} ({cell.id}):\n{_indented(cell.source)}"
        found = errors_in({"output_type": msg["msg_type"], **output})
        self.errors |= {f"{where}\n{text}": None for text in found}
        return super().process_message(msg, cell, cell_index)


def execute(notebook, folder, *, timeout_s=3600):
    """Run a notebook's cells in a fresh kernel.

    Parameters
    ----------
    notebook : NotebookNode
        Filled with outputs and widget state.
    folder : path-like
        Where the kernel works.
    timeout_s : float
        How long a cell may take.

    Returns
    -------
    notebook : NotebookNode
    failure : str
        Empty, or which cell failed and how.
    """
    client = Client(
        notebook,
        timeout=timeout_s,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        asyncio.run(client.async_execute())  # which closes its event loop, in whatever thread
    except nbclient.exceptions.CellExecutionError:
        pass  # it is among the errors
    except nbclient.exceptions.DeadKernelError as error:
        return notebook, f"the kernel died: {error}"
    return notebook, "\n\n".join(client.errors)


def errors_in(output):
    """Yield the errors in an output or a widget's state: tracebacks, and what shells of `serlib.widgets` show.

    Parameters
    ----------
    output : dict
        Keys with an underscore in front hold the code of a widget, and are passed over.
    """
    if output.get("output_type") == "error":
        yield _plain("\n".join(output.get("traceback") or [f"{output['ename']}: {output['evalue']}"]))
        return
    parts = [part for key, part in output.items() if not key.startswith("_")]
    while parts:
        part = parts.pop(0)
        if isinstance(part, dict):
            yield from errors_in(part)
        elif isinstance(part, list | tuple):
            parts = [*part, *parts]
        elif isinstance(part, str) and (widgets.ERROR in part or TRACEBACK in _plain(part)):
            yield _plain(part)


def _plain(text):
    """Return a text without terminal colours and, where it is a shell's, without HTML."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return html.unescape(re.sub("<[^>]*>", "", text)) if widgets.ERROR in text else text


def _indented(text):
    return "\n".join(f"    {line}" for line in text.splitlines())


def write(path, text):
    """Write a text file; it appears whole or not at all."""
    with storage.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_book(folder, executed):
    """Make the book of the project's pages, with the notebooks' executed editions.

    Parameters
    ----------
    folder : Path
        Where the pages go; only what has changed is made again.
    executed : Path
        The folder of the executed editions.

    Returns
    -------
    bool
        Whether it was made without a warning, such as of a link that leads nowhere; warnings go to the terminal.
    """
    places = ["-c", PROJECT / "docs", "-d", folder.parent / "doctrees", PROJECT, folder]
    options = ["-q", "-W", "--keep-going", "-D", f"executed_notebooks={executed}"]
    return not subprocess.run([sys.executable, "-m", "sphinx", *options, *places], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
