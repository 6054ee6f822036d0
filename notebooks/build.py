"""Execute every notebook without a browser, and leave the executed edition and a book of HTML pages.

``python notebooks/build.py`` runs in the profile of ``SERLIB_PROFILE`` and writes into ``build/<profile>/``. It ends
with exit code 1 if a cell raises, or if a widget caught an error that nobody would have seen. The pages load nothing
from anywhere.
"""

import html
import re
import sys
import time
from pathlib import Path

import jinja2
import nbclient
import nbconvert
import nbformat
from pygments.formatters import HtmlFormatter

from serlib import settings, widgets

HERE = Path(__file__).resolve().parent
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
ALIVE = "<p class='alive'>An interactive widget: run <code>make lab</code> to use it.</p>"
SOLUTION = """
{%- extends 'basic/index.html.j2' -%}
{%- block any_cell -%}
{%- if 'solution' in cell.metadata.get('tags', []) -%}
<details class="solution"><summary>A solution</summary>{{ super() }}</details>
{%- else -%}{{ super() }}{%- endif -%}
{%- endblock any_cell -%}
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<nav>{links}</nav>
<p class="source">{source}</p>
<main>
{body}
</main>
<nav>{links}</nav>
</body>
</html>
"""
STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --paper: #fff; --soft: #f4f5f7; --line: #d5d9e0; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6eb; --paper: #15181d; --soft: #20252d; --line: #3a414d; --link: #7db8ff; }
}
body { font: 17px/1.6 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
       margin: 0 auto; padding: 1rem; }
a { color: var(--link); }
a.anchor-link { display: none; }
h1, h2, h3 { line-height: 1.25; margin-top: 1.8em; }
h1 { margin-top: 0.6em; }
nav { display: flex; gap: 1.5rem; flex-wrap: wrap; padding: 0.6rem 0; border-block: 1px solid var(--line); }
nav:empty { display: none; }
nav .next { margin-left: auto; }
pre, code { font: 13px/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; margin: 0; }
:not(pre) > code { background: var(--soft); padding: 0.1em 0.3em; border-radius: 3px; }
.input_area { background: var(--soft); border-left: 3px solid var(--link); padding: 0.6rem 0.9rem; margin: 1rem 0 0; }
.output_wrapper { margin: 0.6rem 0 1.2rem; overflow-x: auto; }
.output_area { margin: 0.4rem 0; }
.output_stderr { border-left: 3px solid #c77; padding-left: 0.9rem; opacity: 0.85; }
.prompt { display: none; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
audio { height: 2.2rem; max-width: 100%; }
table, th, td { border: 0; border-collapse: collapse; font-size: 14px; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid var(--line); text-align: right; }
th, td:first-child { white-space: nowrap; }
.output_markdown th, .output_markdown td { text-align: left; }
.output_stdout pre { white-space: pre-wrap; }
details.solution { border: 1px solid var(--line); border-radius: 6px; padding: 0.5rem 1rem; margin: 1rem 0; }
summary { cursor: pointer; font-weight: 600; }
.alive, .source { font-size: 15px; opacity: 0.8; border: 1px dashed var(--line); border-radius: 6px;
                  padding: 0.4rem 1rem; }
.source { border: 0; padding: 0; margin: 0.4rem 0; }
.card { display: grid; grid-template-columns: 13rem 1fr; gap: 1.2rem; padding: 1rem 0; align-items: center;
        border-bottom: 1px solid var(--line); }
.card h2 { margin: 0; font-size: 1.2rem; }
.card p { margin: 0.3rem 0; }
@media (max-width: 36rem) { .card { grid-template-columns: 1fr; } }
"""
SOURCES = {
    "tiny": "Made from synthetic speech (profile tiny): the lessons hold, the numbers say nothing about people.",
    "full": "Made from recordings of the corpora (profile full): mind their licences before you pass this page on.",
}


def main():
    """Execute the notebooks one after the other, write the book, and return the exit code."""
    here = settings.current()
    build = settings.root() / "build" / here.profile
    paths = notebooks()
    done = []
    print(f"profile {here.profile}: {len(paths)} notebooks", flush=True)
    for path in paths:
        started = time.perf_counter()
        notebook, failure = execute(nbformat.read(path, as_version=4), HERE)
        write(build / "notebooks" / path.name, nbformat.writes(notebook))
        if failure:
            print(f"\n{path.name} failed\n{failure}\n", file=sys.stderr)
            return 1
        done.append((path, notebook, time.perf_counter() - started))
        print(f"  {path.name:32} {done[-1][2]:5.1f} s", flush=True)
    print(write_book(build / "book", done, here.profile))
    return 0


def notebooks():
    """Return the notebooks' paths, in order."""
    return sorted(HERE.glob("[0-9][0-9]_*.ipynb"))


def execute(notebook, folder):
    """Run a notebook's cells in a fresh kernel.

    Parameters
    ----------
    notebook : NotebookNode
        Filled with outputs and widget state.
    folder : path-like
        Where the kernel works.

    Returns
    -------
    notebook : NotebookNode
    failure : str
        Empty, or which cell failed and how.
    """
    client = nbclient.NotebookClient(
        notebook,
        timeout=3600,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError:
        pass  # the cell's own output says it
    except nbclient.exceptions.DeadKernelError as error:
        return notebook, f"the kernel died: {error}"
    return notebook, "\n\n".join([*cell_errors(notebook), *widget_errors(notebook)])


def cell_errors(notebook):
    """List the errors that stand in cells' outputs: raised, or printed by a callback."""
    found = []
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            text = _error_text(output)
            if text:
                found.append(f"cell {number} ({cell.id}):\n{_indented(cell.source)}\n{text}")
    return found


def widget_errors(notebook):
    """List the errors that widgets hold: caught by an Output, or shown by a shell of `serlib.widgets`."""
    found = []
    models = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    for model in models.values():
        state = model.get("state", {})
        found += [text for output in state.get("outputs", ()) if (text := _error_text(output))]
        if widgets.ERROR in str(state.get("value", "")):
            found.append(html.unescape(re.sub("<[^>]*>", "", state["value"])))
    return [f"a widget caught an error:\n{text}" for text in found]


def _error_text(output):
    """Return the traceback that an output holds, without terminal colours, or an empty string."""
    if output["output_type"] == "error":
        text = "\n".join(output.get("traceback") or [f"{output['ename']}: {output['evalue']}"])
    elif output.get("name") == "stderr" and "Traceback (most recent call last)" in output["text"]:
        text = output["text"]
    else:
        return ""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _indented(text):
    return "\n".join(f"    {line}" for line in text.splitlines())


def write(path, text):
    """Write a text file; it appears whole or not at all."""
    with settings.replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_book(folder, done, profile):
    """Write a page per notebook, and the index.

    Parameters
    ----------
    folder : Path
    done : list of (Path, NotebookNode, float)
        Each notebook's path, its executed edition and the seconds it took.
    profile : str

    Returns
    -------
    Path
        The index page.
    """
    names = [path.with_suffix(".html").name for path, _, _ in done]
    titles = [title(notebook) for _, notebook, _ in done]
    cards = []
    for number, (path, notebook, seconds) in enumerate(done):
        links = "<a href='index.html'>contents</a>"
        if number > 0:
            links += f"<a href='{names[number - 1]}'>← {html.escape(titles[number - 1])}</a>"
        if number + 1 < len(done):
            links += f"<a class='next' href='{names[number + 1]}'>{html.escape(titles[number + 1])} →</a>"
        write(folder / names[number], page(notebook, links, profile))
        cards.append(_card(path, notebook, seconds))
    body = "<h1>Learn to recognise emotion in speech, and how far to trust it</h1>" + "".join(cards)
    write(folder / "index.html", _fill("serlib: the notebooks", "", profile, body))
    return folder / "index.html"


def page(notebook, links, profile):
    """Return a notebook as one HTML page that loads nothing.

    Parameters
    ----------
    notebook : NotebookNode
        Executed.
    links : str
        HTML.
    profile : str

    Returns
    -------
    str
    """
    shown = nbformat.from_dict(notebook)
    for cell in shown.cells:
        for output in cell.get("outputs", ()):
            if VIEW in output.get("data", {}):
                output["data"] = {"text/html": ALIVE}
    exporter = nbconvert.HTMLExporter(
        template_file="solution.html.j2", extra_loaders=[jinja2.DictLoader({"solution.html.j2": SOLUTION})]
    )
    shown.metadata.pop("widgets", None)
    body, _ = exporter.from_notebook_node(shown)
    body = re.sub(r'href="([0-9][0-9]_\w+)\.ipynb', r'href="\1.html', body)
    return _fill(title(notebook), links, profile, body)


def _fill(heading, links, profile, body):
    light, dark = (HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("default", "github-dark"))
    style = f"{STYLE}{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n.highlight {{ background: none; }}"
    return PAGE.format(title=html.escape(heading), style=style, links=links, source=SOURCES[profile], body=body)


def title(notebook):
    """Return a notebook's title."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def question(notebook):
    """Return the question that a notebook answers."""
    return re.search(r"\*\*Question\*\*:? *(.+)", notebook.cells[0].source).group(1)


def _card(path, notebook, seconds):
    """Return a notebook's entry in the index: its first picture, title, question and time."""
    pictures = (
        (output["data"]["image/png"], cell.metadata.get("alt", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    )
    picture, alt = next(pictures, ("", ""))
    image = f"<img src='data:image/png;base64,{picture}' alt='{html.escape(alt, quote=True)}'>" if picture else ""
    link = f"<a href='{path.with_suffix('.html').name}'>{html.escape(title(notebook))}</a>"
    heading = f"<h2>{path.name[:2]} {link}</h2><p>{html.escape(question(notebook))}</p>"
    return f"<div class='card'><div>{image}</div><div>{heading}<p>{seconds:.0f} s to run</p></div></div>"


if __name__ == "__main__":
    sys.exit(main())
