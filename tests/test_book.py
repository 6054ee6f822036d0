"""The book: its front page, links and search index, that everybody can read it, and what is executed for it."""

import base64
import hashlib
import inspect
import itertools
import json
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from nbformat import v4

import build
from serlib import corpora, figures, labels, widgets
from serlib.figures.style import ink

PROJECT = Path(__file__).resolve().parent.parent
CSS = (PROJECT / "notebooks" / "book" / "style.css").read_text(encoding="utf-8")
AA = 4.5  # least contrast of text, WCAG 2.1, success criterion 1.4.3
DOT = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The book of the notebooks as they are stored, which have no outputs."""
    folder = tmp_path_factory.mktemp("book")
    build.write_book(folder, [(path, read(path)) for path in build.notebooks()], "tiny")
    return folder


@pytest.fixture(scope="module")
def pages(folder):
    """Its pages' texts, by name."""
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.html"))}


def notebook_of(*cells):
    title = v4.new_markdown_cell("# See a test\n\n**Question**: Is it there?\n", id="title")
    return v4.new_notebook(cells=[title, *cells])


def page_of(*cells):
    return build.notebook_page(Path("01_test.ipynb"), notebook_of(*cells), "tiny").body


def test_links_lead_somewhere(folder):
    assert build.broken_links(folder) == []


@pytest.mark.parametrize(
    ("link", "named"),
    [
        ("[b](11_nowhere.ipynb)", "11_nowhere.html"),
        ("[b](03_split.ipynb#No-such-section)", "03_split.html#No-such-section"),
        ("[b](#nowhere)", "#nowhere"),
        ("[b](#)", "#"),
        ("[b](../README.md)", "../README.md"),
    ],
)
def test_a_broken_link_is_found(link, named, folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    page = build.notebook_page(Path("10_test.ipynb"), notebook_of(v4.new_markdown_cell(link)), "tiny")
    (tmp_path / page.name).write_text(page.body)
    assert build.broken_links(tmp_path) == [f"10_test.html: {named}"]


def test_a_broken_link_fails_the_build(workplace, monkeypatch, capsys):
    path = workplace / "01_test.ipynb"
    nbformat.write(notebook_of(v4.new_markdown_cell("[there](02_nowhere.ipynb)")), path)
    monkeypatch.setattr(build, "notebooks", lambda: [path])
    monkeypatch.setattr(build, "execute", lambda notebook, folder: (notebook, ""))
    monkeypatch.setattr(build.index, "corpus_folder", lambda name: None)
    assert build.main() == 1
    assert "01_test.html: 02_nowhere.html" in capsys.readouterr().err


def test_only_what_changed_is_executed_again(workplace, monkeypatch):
    paths, executed = [workplace / "06_prediction.ipynb", workplace / "09_your_own_corpus.ipynb"], []
    for path in paths:
        nbformat.write(notebook_of(v4.new_code_cell("1", id="one")), path)

    def execute(notebook, folder):
        executed.append(notebook.cells[-1].source)
        return notebook, "it failed" if "fail" in notebook.cells[-1].source else ""

    def made(*arguments):
        executed.clear()
        return build.main(arguments), sorted(executed)

    monkeypatch.setattr(build, "notebooks", lambda: paths)
    monkeypatch.setattr(build, "execute", execute)
    monkeypatch.setattr(build.index, "corpus_folder", lambda name: None)
    assert made("--changed") == (0, ["1", "1"])
    assert made("--changed") == (0, [])
    assert made() == (0, ["1", "1"])
    nbformat.write(notebook_of(v4.new_code_cell("2", id="one")), paths[1])
    assert made("--changed") == (0, ["2"])
    nbformat.write(notebook_of(v4.new_code_cell("fail", id="one")), paths[1])
    assert made("--changed") == (1, ["fail"])
    assert made("--changed") == (1, ["fail"]), "what failed is no edition"
    monkeypatch.setattr(build.settings, "__file__", str(workplace / "settings.py"))
    (workplace / "settings.py").write_text("another package")
    nbformat.write(notebook_of(v4.new_code_cell("2", id="one")), paths[1])
    assert made("--changed") == (0, ["1", "2"])


def test_nothing_but_the_book_s_own_script_may_run_or_be_loaded(pages):
    for text in pages.values():
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
        data, script = re.findall(r"(?s)<script[^>]*>(.*?)</script>", text)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert dict(part.split(" ", 1) for part in policy.split("; ")) == {
            **{"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"},
            **{"img-src": "data:", "media-src": "data:", "style-src": "'unsafe-inline'"},
            "script-src": f"'sha256-{digest}'",
        }
        assert not re.search(r"fetch\(|XMLHttpRequest|import\(|eval\(|innerHTML", script)
        assert not re.search(r"""<link|@import|url\(|<iframe|<object|<embed""", text)
        assert json.loads(data)["pages"][0][0] == "index.html"


def test_the_index_of_the_search_leads_to_every_section(pages):
    index = json.loads(re.search(r'(?s)id="index">(.*?)</script>', pages["index.html"])[1])
    ids = {name: build.Reader(text).ids for name, text in pages.items()}
    assert len({number for number, *_ in index["sections"]}) == len(pages)
    for number, anchor, title, _ in index["sections"]:
        assert title
        assert anchor in ids[index["pages"][number][0]]
    (text,) = [text for number, _, title, text in index["sections"] if title == "Mel bands"]
    assert "Our ears do not work that way" in text
    assert "features.mel_bands(chosen.sr" in text


def test_the_index_holds_no_outputs_and_cannot_end_its_element(tmp_path):
    output = v4.new_output("stream", text="printed by the cell")
    cells = [v4.new_code_cell('"</script><b>"', outputs=[output], id="one"), v4.new_markdown_cell("After it.")]
    path = tmp_path / "01_test.ipynb"
    text = build.write_book(tmp_path / "book", [(path, notebook_of(*cells))], "tiny").read_text()
    index = json.loads(re.search(r'(?s)id="index">(.*?)</script>', text)[1])
    said = index["sections"][-1][-1]
    assert '"</script><b>"' in said
    assert "printed" not in said
    assert said.endswith("After it.")


def test_the_front_page_shows_every_notebook_figure_and_result(pages):
    front = pages["index.html"]
    read_ = build.Reader(front)
    for path in build.notebooks():
        assert build.title(read(path)) in front
        assert build.question(read(path)) in front
        assert f"{path.stem}.html" in read_.links
    shown = {image["src"] for image in read_.images}
    for file in sorted((PROJECT / "figures").glob("*.png")):
        assert f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}" in shown, file.name
    assert "Made from EMODB; protocol random, loso; recipe paper; seed 42." in front
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (EMODB|TESS) \| (.*) \|$", readme, re.MULTILINE)
    assert rows
    for corpus, rest in rows:
        cells = r"</td>\s*<td>".join(map(re.escape, [corpus, *rest.replace("< 6", "&lt; 6").split(" | ")]))
        assert re.search(cells, front), rest
    assert "make tutorial" in front
    assert "synthetic speech" in front
    assert [level for level, _, _ in read_.headings[:2]] == [1, 2]
    assert set(re.findall(r"^## (.*)$", readme, re.MULTILINE)) == set(build.FRONT)


def test_pages_are_in_order_for_a_screen_reader(pages):
    for text in pages.values():
        page = build.Reader(text)
        levels = [level for level, _, _ in page.headings]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= level + 1 for level, after in itertools.pairwise(levels))
        assert len(set(page.ids)) == len(page.ids)
        assert '<html lang="en">' in text
        assert page.links[0] == "#main"
        assert 'aria-current="page"' in text
        for image in page.images:
            assert re.fullmatch(r"\S.{25,}", image["alt"])


def test_cells_of_headings_in_tables_say_what_they_head():
    table = "<table border='1'><thead><tr><th></th><th>uar</th></tr></thead>"
    table += "<tbody><tr><th>emodb</th><td>0.5</td></tr></tbody></table>"
    body = page_of(v4.new_code_cell("t", outputs=[v4.new_output("display_data", {"text/html": table})], id="one"))
    assert re.findall(r"<t[hd]\b.*?</t[hd]>", body) == [
        *("<td></td>", "<th scope='col'>uar</th>", "<th scope='row'>emodb</th>", "<td>0.5</td>")
    ]


def test_a_widget_is_shown_as_it_stood():
    states = {
        "all": {
            "state": {"_model_name": "VBoxModel", "children": [f"IPY_MODEL_{part}" for part in ("row", "said", "png")]}
        },
        "row": {"state": {"_model_name": "HBoxModel", "children": ["IPY_MODEL_by", "IPY_MODEL_n"]}},
        "by": {
            "state": {
                **{"_model_name": "DropdownModel", "description": "colour by"},
                **{"_options_labels": ["emotion", "gender"], "index": 1},
            }
        },
        "n": {"state": {"_model_name": "IntSliderModel", "description": "MFCCs", "value": 13}},
        "said": {"state": {"_model_name": "HTMLModel", "value": "a &lt; b"}},
        "png": {
            "state": {"_model_name": "AnyModel", "alt": "A dot & more."},
            "buffers": [{"encoding": "base64", "path": ["png"], "data": DOT}],
        },
        "other": {"state": {"_model_name": "HTMLModel", "value": "of another widget"}},
    }
    shown = v4.new_output("display_data", {build.VIEW: {"model_id": "all"}})
    notebook = notebook_of(v4.new_code_cell("widgets.explore_corpora(tables)", outputs=[shown], id="one"))
    notebook.metadata["widgets"] = {build.STATE: {"state": states}}
    body = build.notebook_page(Path("01_test.ipynb"), notebook, "tiny").body
    (image,) = build.Reader(body).images
    assert image["alt"] == "A dot & more."
    assert image["src"].endswith(DOT)
    assert "<dt>colour by</dt><dd>gender</dd>" in body
    assert f"<figcaption>{inspect.getdoc(widgets.explore_corpora).splitlines()[0]} A still picture" in body
    assert "a &lt; b" in body
    assert "of another widget" not in body


def contrast(one, other):
    """Return the contrast ratio of two colours as WCAG 2.1 defines it."""
    channels = ([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in (one, other))
    linear = ([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour] for colour in channels)
    dark, light = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in linear)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [  # as the contrast checkers of WebAIM and of browsers say
        ("#000000", "#ffffff", 21.0),
        ("#767676", "#ffffff", 4.54),
        ("#777777", "#ffffff", 4.48),
        ("#ff0000", "#ffffff", 4.0),
        ("#0000ff", "#ffffff", 8.59),
    ],
)
def test_contrast_is_what_others_say(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_of_the_book_can_be_read(scheme):
    light, dark = (dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in re.findall(r"(?s):root \{(.*?)\}", CSS))
    assert set(light) == set(dark)
    colours = {"light": light, "dark": dark}[scheme]
    texts = {"ink", "muted", "link", "comment", "keyword", "string", "number", "name"}
    assert texts | {"paper", "soft", "line", "mark"} == set(colours)
    for text, ground in itertools.product(sorted(texts), ("paper", "soft")):
        assert contrast(colours[text], colours[ground]) >= AA, (text, ground)
    assert contrast(colours["ink"], colours["mark"]) >= AA
    used = set(re.findall(r"(?<![-\w])color: ([^;}]+)", CSS.replace("color-scheme", "")))
    assert used == {f"var(--{name})" for name in texts} | {"var(--paper)", "inherit !important"}
    assert not re.search(r"opacity: 0?\.", CSS), "a text that is let through has another colour than it says"


@pytest.mark.parametrize("ground", [*labels.COLOURS.values(), *figures.GENDER_COLOURS.values()])
def test_numbers_on_the_colours_of_figures_can_be_read(ground):
    assert contrast(to_hex(ink(ground)), ground) >= AA


def test_numbers_in_heatmaps_can_be_read():
    shares = [k / 10 for k in range(11)]
    pairs = [(one, other) for one in corpora.NAMES for other in corpora.NAMES if one != other][: len(shares)]
    scores = pd.DataFrame(pairs, columns=["trained_on", "corpus"]).assign(uar=shares, chance=0.0)
    votes = {
        "anger": {"anger": 75, "fear": 10, "sadness": 15},
        "fear": {"anger": 40, "fear": 60},
        "sadness": {"anger": 20, "fear": 50, "sadness": 30},
    }
    for ax, n in ((figures.draw_across(scores), len(shares)), (figures.draw_listeners(votes), 9)):
        (mesh,) = ax.collections
        grounds = mesh.get_facecolors()[~np.ma.getmaskarray(mesh.get_array()).ravel()]
        assert len(ax.texts) == len(grounds) == n
        for text, ground in zip(ax.texts, grounds, strict=True):
            assert contrast(to_hex(text.get_color()), to_hex(ground)) >= AA, text.get_text()
        plt.close(ax.figure)
