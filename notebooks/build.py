"""Execute the notebooks without a browser, and make of them the book: a static site that loads nothing from anywhere.

``python notebooks/build.py`` runs in the profile of ``SERLIB_PROFILE`` and writes into ``build/<profile>/``. It ends
with exit code 1 if a cell raises, if a widget caught an error that nobody would have seen, or if a link of the book
leads nowhere. With ``--changed`` it executes only what has changed since it was last executed.
"""

import argparse
import asyncio
import base64
import dataclasses
import hashlib
import html
import inspect
import json
import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import jinja2
import joblib
import nbclient
import nbconvert
import nbformat
from markupsafe import Markup
from nbconvert.filters import markdown2html

from serlib import corpora, features, index, labels, settings, storage, widgets

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
PNG = b"\x89PNG\r\n"
AWAKE_S = 2
FIGURE_DPI = 150  # of `figures.save`
TRACEBACK = "Traceback (most recent call last)"
SOLUTION = """
{%- extends 'basic/index.html.j2' -%}
{%- block any_cell -%}
{%- if 'solution' in cell.metadata.get('tags', []) -%}
<details class="solution"><summary>A solution</summary>{{ super() }}</details>
{%- else -%}{{ super() }}{%- endif -%}
{%- endblock any_cell -%}
"""
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "book"), autoescape=True, undefined=jinja2.StrictUndefined
)
SOURCES = {
    "tiny": "Made from synthetic speech (profile tiny): the lessons hold, the numbers say nothing about people.",
    "full": "Made from recordings of the corpora (profile full): mind their licences before you pass this page on.",
}
INLINE = ("a", "abbr", "code", "em", "span", "strong", "sub", "sup")
FRONT = (
    *("The notebooks", "Results", "More results", "The corpora", "The model"),
    *("Quick start", "In five lines of Python"),
    *("What it cannot do", "How to cite"),
)


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
    done = {path: read_executed(kept[path], made_of[path]) if options.changed else None for path in paths}
    wanted, at_once = [path for path in paths if done[path] is None], 1
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
            done[path] = notebook
    front = write_book(build / "book", list(done.items()), here.profile)
    if broken := broken_links(build / "book"):
        print("links of the book lead nowhere:", *broken, sep="\n  ", file=sys.stderr)
        return 1
    print(front)
    return 0


def executed(path, kept, made_of):
    """Execute a notebook and keep it; return it, and which cell failed and how."""
    started = time.perf_counter()
    notebook, failure = execute(nbformat.read(path, as_version=4), HERE)
    seconds = round(time.perf_counter() - started, 1)
    notebook.metadata["executed"] = {"made_of": "" if failure else made_of, "seconds": seconds}
    write(kept, nbformat.writes(notebook))
    return notebook, failure


def fingerprint(path):
    """Return a checksum of a notebook and of the package that it runs on."""
    package = (file for file in Path(settings.__file__).parent.rglob("*") if file.is_file())
    files = [path, *sorted(file for file in package if "__pycache__" not in file.parts)]
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def read_executed(path, made_of):
    """Return the executed edition of a notebook, or None if there is none, or it was made of something else."""
    if not path.is_file():
        return None
    notebook = nbformat.read(path, as_version=4)
    return notebook if notebook.metadata.get("executed", {}).get("made_of") == made_of else None


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


@dataclasses.dataclass
class Page:
    """A page of the book: where it is, what the others show of it, and its text."""

    name: str
    title: str
    body: Markup
    sections: list
    number: str = ""
    question: str = ""
    seconds: float = 0.0
    picture: str = ""
    alt: str = ""

    @property
    def is_front(self):
        return self.name == "index.html"


def write_book(folder, done, profile):
    """Write the front page, and a page per notebook.

    Parameters
    ----------
    folder : Path
        Pages that are there already are replaced.
    done : list of (Path, NotebookNode)
        Each notebook's path and its executed edition.
    profile : str

    Returns
    -------
    Path
        The front page.
    """
    pages = [notebook_page(path, notebook, profile) for path, notebook in done]
    pages.insert(0, front_page(pages, profile))
    entries = [[number, *section] for number, page in enumerate(pages) for section in page.sections]
    index = {"pages": [[page.name, page.title] for page in pages], "sections": entries}
    script = (HERE / "book" / "book.js").read_text(encoding="utf-8")
    common = {
        "pages": pages,
        "style": Markup((HERE / "book" / "style.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "index": Markup(json.dumps(index, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")),
    }
    for old in folder.glob("*.html"):
        old.unlink()
    neighbours = zip(pages, [None, *pages], [*pages[1:], None], strict=False)
    for page, before, after in neighbours:
        text = TEMPLATES.get_template("page.html.j2").render(page=page, before=before, after=after, **common)
        write(folder / page.name, text)
    return folder / "index.html"


def notebook_page(path, notebook, profile):
    """Return the page of an executed notebook."""
    shown = nbformat.from_dict(notebook)
    states = shown.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    for cell in shown.cells:
        for output in cell.get("outputs", ()):
            if VIEW in output.get("data", {}):
                picture = still(output["data"][VIEW]["model_id"], states, cell.source)
                output["data"] = {"text/html": str(picture)}
    exporter = nbconvert.HTMLExporter(
        template_file="solution.html.j2",
        extra_loaders=[jinja2.DictLoader({"solution.html.j2": SOLUTION})],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    body = legible(exporter.from_notebook_node(shown)[0])
    source = f"<p class='source'>{SOURCES[profile]}</p>"
    body = body.replace("</h1>", f"</h1>\n{source}", 1)
    pictures = (
        (output["data"]["image/png"], cell.metadata.get("alt", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    )
    picture, alt = next(pictures, ("", ""))
    return Page(
        name=path.with_suffix(".html").name,
        title=title(notebook),
        body=Markup(body),
        sections=Reader(body).sections,
        number=path.name[:2],
        question=question(notebook),
        seconds=notebook.metadata.get("executed", {}).get("seconds", 0.0),
        picture=picture.strip(),
        alt=alt,
    )


def title(notebook):
    """Return a notebook's title."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def question(notebook):
    """Return the question that a notebook answers."""
    return re.search(r"\*\*Question\*\*:? *(.+)", notebook.cells[0].source).group(1)


def still(model_id, states, source):
    """Show a widget as it stood last: what its controls said, its message and its pictures.

    Parameters
    ----------
    model_id : str
        Of the widget shown.
    states : dict of str to dict
        All widgets' states in the notebook, by model id.
    source : str
        The cell that shows it; the docstring of the function of `serlib.widgets` that it calls says what the widget is.

    Returns
    -------
    Markup
    """
    called = re.search(r"\bwidgets\.(\w+)\(", source)
    what = inspect.getdoc(getattr(widgets, called[1])).splitlines()[0] if called else "A widget."
    controls, messages, pictures = [], [], []
    for model in _below(model_id, states):
        state = model["state"]
        chosen = _chosen(state)
        if state.get("description") and chosen:
            controls.append((state["description"], chosen))
        elif state["_model_name"] == "HTMLModel" and state.get("value"):
            messages.append(Markup(state["value"]))  # whatever it holds of others is escaped
        data = (buffer["data"].strip() for buffer in model.get("buffers", ()))
        pictures += [
            (one, state.get("alt") or state["answer"]["alt"])
            for one in data
            if base64.b64decode(one)[: len(PNG)] == PNG
        ]
    return Markup(
        TEMPLATES.get_template("widget.html.j2").render(
            what=what, controls=controls, messages=messages, pictures=pictures
        )
    )


def _below(model_id, states):
    """Yield a widget's model and those within it, in the order in which they are shown."""
    model = states.get(model_id)
    if model is None:
        return
    yield model
    parts = {key: value for key, value in model["state"].items() if key not in ("layout", "style")}
    for part in re.findall(r'"IPY_MODEL_(\w+)"', json.dumps(parts)):
        yield from _below(part, states)


def _chosen(state):
    """Return in words what a control is set to, or an empty string."""
    if "_options_labels" in state:
        index = state.get("index")
        places = [index] if isinstance(index, int) else index or ()
        return ", ".join(state["_options_labels"][place] for place in places)
    value = state.get("value")
    return str(value) if isinstance(value, int | float | str) else ""


def front_page(pages, profile):
    """Return the front page: the README in the order of somebody who reads first and runs later, with the notebooks."""
    lead, *parts = re.split(
        r"^## ", re.sub(r"<!--.*?-->\n", "", README.read_text(encoding="utf-8")), flags=re.MULTILINE
    )
    sections = dict(part.split("\n", 1) for part in parts)
    lead = re.sub(r"\A# .*\n\n\*\*(.*)\*\*", r"# \1", lead)
    lead = lead.replace(" - ", "\u00a0– ")
    lead, *pictures = re.split(r"^(?=!\[)", lead, maxsplit=1, flags=re.MULTILINE)
    sections["The corpora"] = "\n\n".join([*pictures, sections["The corpora"]])
    cards = TEMPLATES.get_template("cards.html.j2").render(pages=pages)
    rest = "".join(_from_readme(f"## {heading}\n{sections[heading]}") for heading in FRONT)
    rest = re.sub(r"(?s)<div class=.table.>(?:(?!</table>).)*exercises</th>.*?</div>", lambda _: cards, rest, count=1)
    body = TEMPLATES.get_template("front.html.j2").render(
        lead=Markup(_from_readme(lead)),
        rest=Markup(rest),
        pages=pages,
        colours=labels.COLOURS.values(),
        source=SOURCES[profile],
    )
    return Page(
        name="index.html",
        title="serlib: learn speech emotion recognition",
        body=Markup(body),
        sections=Reader(body).sections,
    )


def _from_readme(text):
    """Return markdown of the README as HTML: pictures put in, and no links to files that are not in the book."""
    body = legible(markdown2html(text))
    body = re.sub(r'<p><img src="([^"]*)" alt="([^"]*)"\s*/?></p>', _figure, body)
    body = re.sub(r"<td>(not made yet.*?)</td>((?:\s*<td></td>)+)", _spanned, body)
    return re.sub(r'<a href="(?!https?:|#|[\w]+\.html)[^"]*">(.*?)</a>', r"\1", body)


def _spanned(cells):
    """Return one cell in place of a text and the empty cells after it."""
    return f"<td colspan='{1 + cells[2].count('<td')}'>{cells[1]}</td>"


def _figure(image):
    """Return one of the README's figures, with a caption that says what it was made of."""
    file, alt = README.parent / image[1], image[2]
    about = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    names = [corpora.short_title(name) for name in _listed(about["corpus"])]
    facts = [("protocol", _listed(about["protocol"])), ("recipe", _listed(about["recipe"]))]
    if about["protocol"]:
        facts.append(("seed", [str(about["seed"])]))
    made = about.get("source") or ", ".join(names) + (" (synthetic)" if about["synthetic"] else "")
    caption = "; ".join([f"Made from {made}", *(f"{name} {', '.join(values)}" for name, values in facts if values)])
    png = file.read_bytes()
    width = int.from_bytes(png[16:20]) * 96 // FIGURE_DPI
    image = f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{alt}" width="{width}">'
    return f"<figure>{image}<figcaption>{caption}.</figcaption></figure>"


def _listed(names):
    return [names] if isinstance(names, str) else names or []


def legible(body):
    """Make HTML of notebooks and markdown fit for screen readers and small screens, and its links the book's own."""
    body = re.sub(r'<a class="anchor-link".*?</a>', "", body)
    body = re.sub(r'href="(?:notebooks/)?([0-9][0-9]_\w+)\.ipynb', r'href="\1.html', body)
    for part, scope in (("thead", "<th scope='col'"), ("tbody", "<th scope='row'")):
        body = re.sub(f"(?s)<{part}>.*?</{part}>", lambda rows, scope=scope: re.sub(r"<th\b", scope, rows[0]), body)
    body = re.sub(r"<th\b[^>]*>(\s|&nbsp;)*</th>", "<td></td>", body)
    body = re.sub(r"<td\b(?=[^>]*>[^<]{32})", "<td data-long", body)
    body = re.sub(r"<table border=\"1\"", "<table", body)
    body = body.replace("<table", "<div class='table'><table").replace("</table>", "</table></div>")
    numbers = iter(range(1, 1000))
    return re.sub(r"<audio\b", lambda _: f"<audio aria-label='Recording {next(numbers)} of this page'", body)


class Reader(HTMLParser):
    """What a page consists of, as one reads it.

    Attributes
    ----------
    ids, links, images : list
        All ids, all addresses that links lead to, and the attributes of all pictures.
    headings : list of (int, str, str)
        Level, id, text.
    sections : list of (str, str, str)
        Id, title, and the text below it, without what cells put out.
    """

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.images, self.headings, self.sections = [], [], [], [], []
        self._heading, self._hidden = None, []
        self.feed(text)
        self.sections = [(id_, heading, " ".join("".join(text).split())) for id_, heading, text in self.sections]

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            self.ids.append(attrs["id"])
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        if tag == "img":
            self.images.append(attrs)
        if self._hidden[:1] == [tag] or (not self._hidden and self._is_hidden(tag, attrs)):
            self._hidden.append(tag)
        if tag not in INLINE:
            self.handle_data(" ")
        if re.fullmatch("h[1-6]", tag):
            self._heading = (int(tag[1]), attrs.get("id", ""), [])

    @staticmethod
    def _is_hidden(tag, attrs):
        return tag in ("script", "style", "nav", "header") or "output_wrapper" in attrs.get("class", "")

    def handle_endtag(self, tag):
        if self._hidden[:1] == [tag]:
            self._hidden.pop()
        if self._heading and tag == f"h{self._heading[0]}":
            level, id_, words = self._heading
            text = " ".join("".join(words).split())
            self.headings.append((level, id_, text))
            if level <= 2:
                self.sections.append((id_, text, []))
            self._heading = None

    def handle_data(self, data):
        if self._heading:
            self._heading[2].append(data)
        elif self.sections and not self._hidden:
            self.sections[-1][2].append(data)


def broken_links(folder):
    """List the links between the pages of a folder that lead nowhere: ``page: address``."""
    pages = {file.name: Reader(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.html"))}
    broken = []
    for name, page in pages.items():
        for address in dict.fromkeys(page.links):
            target, _, anchor = address.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            there = pages.get(target or name)
            if there is None or ("#" in address and unquote(anchor) not in there.ids):
                broken.append(f"{name}: {address}")
    return broken


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
