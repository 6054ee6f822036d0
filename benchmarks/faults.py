"""Kill the work at moments drawn by chance, and look at what is left: writes `FAULTS.md`.

Each step is a command, or a function where there is no command for it alone, in a process that was forked from one
which has imported everything, so that SIGKILL strikes the work; whatever the process has started is killed with it.
What a reader then finds of each thing that the step replaces must be the old or the new, to the byte; and the step,
done again, must end as if nothing had happened, and leave nothing hidden behind.

What was done is kept in `build/faults.csv`, by step and number of the kill: a run that is stopped goes on from there.
"""

import contextlib
import dataclasses
import functools
import hashlib
import itertools
import multiprocessing
import multiprocessing.forkserver
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from test_download import GOOD, WAVS, Publisher, small

from serlib import cache, cli, download, evaluate, features, index, model, settings, synthetic

ROOT = Path(__file__).parent.parent
N_KILLS = 50
DONE, TABLE = ROOT / "build" / "faults.csv", ROOT / "benchmarks" / "FAULTS.md"
IMPORTED = ("pytest", "tensorflow", "keras", "tf2onnx", "serlib.cli", "serlib.download", "serlib.figures")
PICTURES = ("corpora", "mfcc", "split", "architecture", "learning-curves", "confusion", "unseen-speakers")


@dataclass(frozen=True)
class Step:
    """What is done in a folder where other things were done before, and how a reader looks at what it replaces."""

    act: object
    before: tuple
    look: object  # returns {thing: digest}, without what is not there


def command(*words):
    """Do what the command line does with these words."""
    sys.argv = ["serlib", *map(str, words)]
    cli.main()


def steps(data, url):
    """Return the steps by name, on the synthetic corpora in a folder, and downloads from a server on this machine."""
    table, train, evaluate = (
        functools.partial(functools.partial, command, *words)
        for words in (
            ("index", "-d", data / "EMODB", "-n", "emodb", "-o", "table.csv"),
            ("train", "-p", "table.csv", "-o", "bundle", "--resume"),
            ("evaluate", "-p", "table.csv", "-o", "result.csv.gz", "--folds", 3, "--epochs", 5),
        )
    )
    indexed = table("--seed", 1)
    return {
        "index": Step(table("--seed", 2), (indexed,), look_at_table),
        "features": Step(extract, (indexed,), look_at_vectors),
        "train": Step(train("--seed", 2, "--epochs", 60), (indexed, train("--seed", 1, "--epochs", 1)), look_at_bundle),
        "evaluate": Step(evaluate("--seed", 2), (indexed, evaluate("--seed", 1)), look_at_result),
        "download, an archive": Step(functools.partial(fetch, url=f"{url}/emodb.zip"), (), look_at_corpus),
        "download, file by file": Step(functools.partial(fetch, files=f"{url}/raw/"), (), look_at_recordings),
        "figures": Step(draw, (draw, grow_old), look_at_pictures),
    }


def extract():
    """Compute the features of all recordings; none of them is known."""
    features.extract(index.read("table.csv"), features=settings.RECIPES["paper"].features)


def fetch(**where):
    """Download a small corpus."""
    assert download.fetch(small(**where), "data").ok


def draw():
    """Draw every figure; of networks that are hardly trained, since it is the drawing that is killed."""
    evaluate.SYNTHETIC_EPOCHS = 2
    command("figures", "-o", "figures")


def grow_old():
    """Make all figures other ones."""
    for file in Path("figures").iterdir():
        file.write_bytes(b"old" if file.suffix == ".png" else b'{"corpus": "old"}')


def digest(*files):
    """Hash files, with their names."""
    named = [f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n" for file in files]
    return hashlib.sha256("".join(named).encode()).hexdigest()[:16]


def look_at_table():
    with settings.settled("table.csv"):
        files = sorted(Path().glob("table.*"))
        return {"table": digest(*files)} if files else {}


def look_at_vectors():
    file = Path("cache/cache.sqlite")
    if not file.is_file():
        return {}
    with contextlib.closing(sqlite3.connect(file)) as opened:
        opened.executescript(cache.SCHEMA)
        (verdict,) = opened.execute("pragma integrity_check").fetchone()
        vectors = opened.execute("select content, vector from vectors").fetchall()
    return {content: hashlib.sha256(vector).hexdigest() if verdict == "ok" else verdict for content, vector in vectors}


def look_at_bundle():
    """Look at all that is the same each time: not the date in Keras's archive, nor the names that its export draws."""
    folder = Path("bundle")
    try:
        contract = model.read_contract(folder)  # the ONNX file is the one that it describes
    except FileNotFoundError:
        return {}
    except ValueError as error:
        return {"bundle": str(error)}
    with zipfile.ZipFile(folder / "model.keras") as archive:
        facts = [archive.testzip(), archive.getinfo("model.weights.h5").CRC]
    facts += [sorted(file.name for file in folder.iterdir()), dataclasses.replace(contract, onnx_sha256="")]
    return {"bundle": f"{facts} {digest(folder / 'history.csv', folder / 'MODEL_CARD.md')}"}


def look_at_result():
    with settings.settled("result.csv.gz"):
        files = sorted(Path().glob("result.*"))
        return {"result": digest(*files)} if files else {}


def look_at_corpus():
    files = sorted(Path("data/EMODB").rglob("*.*"))
    return {"corpus": digest(*files)} if files else {}


def look_at_recordings():
    return {file.name: digest(file) for file in Path("data/EMODB").rglob("*.*")}


def look_at_pictures():
    found = {}
    for name in PICTURES:
        with settings.settled(Path("figures") / f"{name}.png"):
            if files := sorted(Path("figures").glob(f"{name}.*")):
                found[name] = digest(*files)
    return found


class Killer:
    """Does steps in processes of their own, in folders below one of its own, and kills them."""

    def __init__(self, place, imported=()):
        self.place, self.data, self.prepared = Path(place), Path(place) / "data", {}
        synthetic.write("emodb", self.data)
        self.environment = {
            **{"SERLIB_PROFILE": "full", "SERLIB_DATA": str(self.data), "SERLIB_CACHE": "cache", "COLUMNS": "120"},
            **{"LOKY_MAX_CPU_COUNT": "1", "no_proxy": "127.0.0.1"},  # folds are trained in the process that is killed
        }
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([*IMPORTED, *imported])
        with settings.quiet_stderr(), importable():
            multiprocessing.forkserver.ensure_running()

    def run(self, act, folder, *, after=None):
        """Let a process act in a folder, kill it after so many seconds, if given; return its exit code and seconds."""
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_act, args=(act, folder, self.environment, theirs))
        process.start()
        theirs.close()
        ours.recv()
        started = time.perf_counter()
        process.join(after)
        seconds = time.perf_counter() - started
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return process.exitcode, seconds

    def prepare(self, name, step):
        """Do what comes before a step, and the step, undisturbed, once; return the old, the new, and the seconds."""
        old, new = self.place / f"{name}-old", self.place / f"{name}-new"
        if name in self.prepared:
            return self.prepared[name]
        old.mkdir()
        for act in step.before:
            self.complete(act, old)
        if name == "features":
            shutil.rmtree(old / "cache")
        shutil.copytree(old, new)
        seconds = self.complete(step.act, new)
        self.prepared[name] = look(step, old), look(step, new), seconds
        return self.prepared[name]

    def complete(self, act, folder):
        code, seconds = self.run(act, folder)
        assert code == 0, (folder / "log").read_text()
        return seconds

    def strike(self, name, step, old, new, act=None, after=None):
        """Do a step that is killed in a copy of the old, look, do it again and look again.

        Returns
        -------
        dict
            ``killed``: whether it was, or else had ended before; how many things were found ``old``, ``new``, ``half``
            and ``lost``; ``completed``: whether the second time ended as if nothing had happened; ``left``: how many
            hidden files are left.
        """
        folder = Path(tempfile.mkdtemp(dir=self.place)) / "work"
        shutil.copytree(self.place / f"{name}-old", folder)
        code, _ = self.run(act or step.act, folder, after=after)
        found = look(step, folder)
        states = [state(thing, found, old, new) for thing in {**old, **new, **found}]
        code_again, _ = self.run(step.act, folder)
        left = [path for path in folder.rglob(".*") if path.is_file() or not any(path.iterdir())]
        row = {
            "killed": code == -signal.SIGKILL,
            **{what: states.count(what) for what in ("old", "new", "half", "lost")},
        }
        row |= {"completed": code_again == 0 and look(step, folder) == new, "left": len(left)}
        shutil.rmtree(folder.parent)
        return row


def _act(act, folder, environment, ready):
    """Act in a process that leads a group of its own; what it says is written to a file."""
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    log = os.open("log", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    ready.send(None)
    code = 0
    try:
        act()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    os._exit(code)


@dataclass(frozen=True)
class Dying:
    """A step that is killed before or after its n-th renaming of a file or folder."""

    act: object
    n: int
    is_done: bool

    def __call__(self):
        count = 0

        def dying(move):
            def moved(*places, **how):
                nonlocal count
                count += 1
                if count == self.n and not self.is_done:
                    os.kill(os.getpid(), signal.SIGKILL)
                move(*places, **how)
                if count == self.n:
                    os.kill(os.getpid(), signal.SIGKILL)

            return moved

        os.rename, os.replace = dying(os.rename), dying(os.replace)
        self.act()


def look(step, folder):
    with contextlib.chdir(folder):
        return step.look()


def state(thing, found, old, new):
    """Say whether a thing was found as it was before, as it is afterwards, as neither of them, or not at all."""
    if found.get(thing) == new.get(thing):
        return "new"
    if found.get(thing) == old.get(thing):
        return "old"
    return "half" if thing in found else "lost"


@contextlib.contextmanager
def importable():
    """Let processes that are started find the modules that are found here."""
    kept = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if kept is not None:
            os.environ["PYTHONPATH"] = kept


@contextlib.contextmanager
def published():
    """Publish the small corpus that is downloaded, and yield the address of the server."""
    with Publisher() as server:
        server.shelf = {"/emodb.zip": GOOD, **{f"/raw/{path}": content for path, content in WAVS.items()}}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def moment(name, number, seconds):
    """Draw when a kill comes, evenly over the time that the undisturbed step took."""
    return np.random.default_rng([zlib.crc32(name.encode()), number]).uniform(0, seconds)


def main():
    rows = pd.read_csv(DONE).to_dict("records") if DONE.is_file() else []
    done = {(row["step"], row["kill"]) for row in rows}
    with tempfile.TemporaryDirectory() as place, published() as url:
        killer = Killer(place)
        for number, (name, step) in itertools.product(range(N_KILLS), steps(killer.data, url).items()):
            if (name, number) in done:
                continue
            old, new, seconds = killer.prepare(name, step)
            after, row = moment(name, number, seconds), {"killed": False}
            while not row["killed"]:  # it had ended before: sooner, then
                row = killer.strike(name, step, old, new, after=after)
                after /= 2
            rows.append({"step": name, "kill": number, "seconds": round(seconds, 2), **row})
            for file, content in ((DONE, pd.DataFrame(rows).to_csv(index=False)), (TABLE, table(pd.DataFrame(rows)))):
                with settings.replacing(file) as temporary:
                    temporary.write_text(content, encoding="utf-8")
            print(rows[-1], flush=True)


def table(rows):
    """Write what was found as Markdown."""
    lines = []
    for name, done in rows.groupby("step", sort=False):
        counts = done[["old", "new", "half", "lost"]].sum()
        of = f"{done['completed'].sum()} of {len(done)}"
        facts = [len(done), *counts, of, done["left"].sum()]
        lines.append(f"| {name} | {' | '.join(map(str, facts))} |")
    return f"""# What is left when the work is killed

Made by `faults.py` (`make faults`), which says how. Each step was done on synthetic speech and killed at a moment drawn
evenly over the seconds that it takes undisturbed, or sooner, where it had ended before. Old and new are counted by
thing: a table, a bundle, a result, a corpus; of `features` the vectors of 280 recordings, of the download file by file
6 recordings, of `figures` 7 figures with their sidecars.

| step | kills | old whole | new whole | half | lost | completed when done again | hidden files left |
|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}
"""


if __name__ == "__main__":
    main()
