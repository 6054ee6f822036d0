"""What the book adds to Sphinx: notebooks as they were executed, cards of them, formulas as MathML, captions."""

import base64
import html
import inspect
import json
import re
from pathlib import Path

import nbformat
import typer
from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.util.docutils import SphinxDirective

from serlib import cli, corpora, widgets

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
PNG = b"\x89PNG\r\n"
SOURCES = {
    "tiny": "Made from synthetic speech (profile tiny): the lessons hold, the numbers say nothing about people.",
    "full": "Made from recordings of the corpora (profile full): mind their licences before you pass this page on.",
}


def setup(app):
    """Register all of it with Sphinx."""
    app.add_config_value("executed_notebooks", "", "env")
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    app.add_directive("notebook-cards", NotebookCards)
    app.add_directive("command-line", CommandLine)
    app.connect("source-read", read_readme)
    app.connect("source-read", read_executed)
    app.connect("doctree-read", caption_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def executed(env, name):
    """Return the path of a notebook's executed edition, and the edition (the stored one where there is none)."""
    path = Path(env.config.executed_notebooks or env.srcdir / "notebooks", f"{name}.ipynb")
    return path, nbformat.read(path, as_version=4)


def read_readme(app, docname, source):
    """Put the README's text into the front page."""
    if docname == app.config.root_doc:
        readme = app.srcdir / "README.md"
        app.env.note_dependency(str(readme))
        text = re.sub(r"\]\((?!https?:|#)", "](../", readme.read_text(encoding="utf-8"))
        source[0] = text.replace("\n## Results\n", f"\n{source[0]}\n## Results\n", 1)


def read_executed(app, docname, source):
    """Put the executed edition of a notebook in place of the stored one, its widgets as they stood last."""
    folder, _, name = docname.rpartition("/")
    if folder != "notebooks":
        return
    path, notebook = executed(app.env, name)
    app.env.note_dependency(str(path))
    source[0] = nbformat.writes(shown(notebook))


def shown(notebook):
    """Return an executed notebook as the book shows it: without claims, widgets as they stood last, pictures in words.

    Parameters
    ----------
    notebook : NotebookNode
        It is changed.

    Returns
    -------
    NotebookNode
    """
    states = notebook.metadata.pop("widgets", {}).get(STATE, {}).get("state", {})
    notebook.cells = [cell for cell in notebook.cells if "claims" not in cell.metadata.get("tags", ())]
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            show_output(output, states, cell.source)
        if alt := cell.metadata.get("alt"):
            cell.metadata["mystnb"] = {"image": {"alt": alt}}
    about = SOURCES[notebook.metadata.get("executed", {}).get("profile", "tiny")]
    heading, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{heading}\n\n*{about}*\n{rest}"
    return notebook


def show_output(output, states, source):
    """Make an output fit for a page: a widget as a still picture, tables and sounds for screen readers."""
    data = output.get("data", {})
    if VIEW in data:
        output["data"] = {"text/html": still(data[VIEW]["model_id"], states, source)}
    elif "text/html" in data:
        data["text/html"] = legible(data["text/html"])


def legible(body):
    """Make HTML that a cell put out fit for screen readers and small screens."""
    for part, scope in (("thead", "<th scope='col'"), ("tbody", "<th scope='row'")):
        body = re.sub(f"(?s)<{part}>.*?</{part}>", lambda rows, scope=scope: re.sub(r"<th\b", scope, rows[0]), body)
    body = re.sub(r"<th\b[^>]*>(\s|&nbsp;)*</th>", "<td></td>", body)
    body = body.replace("<table", "<div class='pst-scrollable-table-container'><table").replace(
        "</table>", "</table></div>"
    )
    return re.sub(r"<audio\b", "<audio aria-label='Recording'", body)


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
    str
        HTML.
    """
    called = re.search(r"\bwidgets\.(\w+)\(", source)
    what = inspect.getdoc(getattr(widgets, called[1])).splitlines()[0] if called else "A widget."
    controls, parts = [], []
    for model in _below(model_id, states):
        state = model["state"]
        chosen = _chosen(state)
        if state.get("description") and chosen:
            name, value = html.escape(state["description"]), html.escape(chosen)
            controls.append(f"<div><dt>{name}</dt><dd>{value}</dd></div>")
        elif state["_model_name"] == "HTMLModel" and state.get("value"):
            parts.append(f"<div>{state['value']}</div>")  # whatever it holds of others is escaped
        for buffer in model.get("buffers", ()):
            data, alt = buffer["data"].strip(), state.get("alt") or state.get("answer", {}).get("alt", "")
            if base64.b64decode(data)[: len(PNG)] == PNG:
                parts.append(f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}">')
    about = f"{html.escape(what)} A still picture of an interactive widget: run <code>make lab</code> to use it."
    shown = f"<dl>{''.join(controls)}</dl>" if controls else ""
    return f'<figure class="widget">{shown}{"".join(parts)}<figcaption>{about}</figcaption></figure>'


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


class NotebookCards(SphinxDirective):
    """A card for each notebook: its first picture, its title, the question that it answers, the time that it took."""

    def run(self):
        cards = []
        for path in sorted(self.env.srcdir.glob("notebooks/[0-9]*.ipynb")):
            edition, notebook = executed(self.env, path.stem)
            self.env.note_dependency(str(edition))
            cards.append(_card(path.stem, notebook))
        return [nodes.raw("", f'<ol class="cards">{"".join(cards)}</ol>', format="html")]


class CommandLine(SphinxDirective):
    """A section for each command of the terminal: what it does, and what it takes."""

    def run(self):
        sections = []
        for name, command in typer.main.get_command(cli.app).commands.items():
            rows = "".join(
                f"<tr><td><code>{html.escape(', '.join(taken.opts))}</code></td><td>{html.escape(taken.help)}</td></tr>"
                for taken in command.params
                if not taken.hidden
            )
            section = nodes.section("", nodes.title("", name), ids=[name], names=[name])
            section += nodes.paragraph("", " ".join(command.help.split()))
            section += nodes.raw("", f'<table class="table">{rows}</table>', format="html")
            sections.append(section)
        return sections


def title(notebook):
    """Return a notebook's title."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def question(notebook):
    """Return the question that a notebook answers."""
    return re.search(r"\*\*Question\*\*:? *(.+)", notebook.cells[0].source)[1]


def _card(name, notebook):
    pictures = (
        (output["data"]["image/png"].strip(), cell.metadata.get("alt", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    )
    picture = "".join(
        f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt)}">' for data, alt in [*pictures][:1]
    )
    seconds = notebook.metadata.get("executed", {}).get("seconds")
    time = f'<p class="time">{seconds:.0f} s to run</p>' if seconds else ""
    link = f'<a href="../notebooks/{name}.html">{html.escape(title(notebook))}</a>'
    return f"<li>{picture}<h3>{name[:2]} {link}</h3><p>{html.escape(question(notebook))}</p>{time}</li>"


def caption_figures(app, doctree):
    """Say below each of the project's figures what it was made of, as the JSON file beside it has it."""
    for image in [*doctree.findall(nodes.image)]:
        about = (app.srcdir / image["uri"]).with_suffix(".json")
        if about.parent.name == "figures" and about.is_file():
            made = json.loads(about.read_text(encoding="utf-8"))
            paragraph = image.parent
            figure = nodes.figure("", image.deepcopy(), nodes.caption("", _made_of(made)), ids=[about.stem])
            paragraph.replace_self(figure)


def _made_of(about):
    names = [corpora.short_title(name) for name in _listed(about["corpus"])]
    facts = [("protocol", _listed(about["protocol"])), ("recipe", _listed(about["recipe"]))]
    if about["protocol"]:
        facts.append(("seed", [str(about["seed"])]))
    made = about.get("source") or ", ".join(names) + (" (synthetic)" if about["synthetic"] else "")
    return "; ".join([f"Made from {made}", *(f"{name} {', '.join(values)}" for name, values in facts if values)]) + "."


def _listed(names):
    return [names] if isinstance(names, str) else names or []


def write_inline(translator, node):
    """Write a formula within a line as MathML."""
    translator.body.append(latex2mathml.tex2mathml(node.astext()))
    raise nodes.SkipNode


def write_block(translator, node):
    """Write a formula on a line of its own as MathML."""
    translator.body.append(f'<div class="math">{latex2mathml.tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode
