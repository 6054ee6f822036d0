"""The book: its pages, links, reference and search, that everybody can read it, and what is executed for it."""

import base64
import html
import inspect
import itertools
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import typer
from nbformat import v4
from sphinx.util.inventory import InventoryFile

import build
import pages
import serlib
from conftest import listened, shot
from serlib import cli, widgets

PROJECT = Path(__file__).resolve().parent.parent
DOT = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
FORMULA = "The mean is\n\n$$\\bar{x} = \\frac{1}{n} \\sum_i x_i$$\n\nwhere $n > 0$."


class Reader(HTMLParser):
    """The elements of a page that tests ask for, in their order: attributes of pictures, levels of headings."""

    def __init__(self, text):
        super().__init__()
        self.images, self.levels, self.loaded = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "img":
            self.images.append(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        is_link = tag == "link" and attrs.get("rel") in ("stylesheet", "preload", "icon")
        if tag in ("img", "script", "iframe", "audio", "video", "source", "embed", "object") or is_link:
            self.loaded.append(attrs.get("src") or attrs.get("href") or attrs.get("data") or "")


def notebook_of(*cells):
    title = v4.new_markdown_cell("# See a test\n\n**Question**: Is it there?\n", id="title")
    return v4.new_notebook(cells=[title, *cells])


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """A folder of the notebooks as they are stored, but for one output as Keras colours it, and a formula."""
    folder = tmp_path_factory.mktemp("editions")
    for path in build.notebooks():
        notebook = nbformat.read(path, as_version=4)
        if path.stem == "06_evaluation":
            printing = next(cell for cell in notebook.cells if cell.cell_type == "code")
            coloured = "<pre><span style='color: #00d7ff'>(None, 50, 1)</span></pre>"
            printing.outputs = [v4.new_output("display_data", {"text/html": coloured})]
            notebook.cells.append(v4.new_markdown_cell(FORMULA, id="formula"))
        nbformat.write(notebook, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def book(editions, tmp_path_factory):
    """The folder of the book's pages, which were made without a warning."""
    folder = tmp_path_factory.mktemp("made") / "book"
    assert build.make_book(folder, editions)
    return folder


@pytest.fixture(scope="module")
def texts(book):
    """Its pages' texts, by name."""
    names = [path.relative_to(book).as_posix() for path in book.rglob("*.html") if "_" not in path.parts[-2][:1]]
    assert len(names) > 30
    return {name: (book / name).read_text(encoding="utf-8") for name in names}


BROKEN = ("12_nowhere.ipynb", "03_split.ipynb#no-such-section", "#nowhere", "../NOWHERE.md")


def test_a_broken_link_fails_the_build(book, editions, tmp_path, capfd):
    made = shutil.copytree(book.parent, tmp_path / "made")  # where only what changed is made again
    path = editions / "01_corpus_overview.ipynb"
    stored, notebook = path.read_text(encoding="utf-8"), nbformat.read(path, as_version=4)
    links = " ".join(f"[there]({link})" for link in BROKEN)
    notebook.cells.append(v4.new_markdown_cell(links, id="there"))
    nbformat.write(notebook, path)
    try:
        assert not build.make_book(made / "book", editions)
    finally:
        path.write_text(stored, encoding="utf-8")
    printed = capfd.readouterr().err
    assert printed.count("01_corpus_overview.ipynb") >= len(BROKEN)
    for link in BROKEN:
        assert link.split("#")[-1] in printed


def test_only_what_changed_is_executed_again(workplace, monkeypatch):
    paths, executed = [workplace / "09_prediction.ipynb", workplace / "10_your_own_corpus.ipynb"], []
    for path in paths:
        nbformat.write(notebook_of(v4.new_code_cell("1", id="one")), path)

    def execute(notebook, folder):
        executed.append(notebook.cells[-1].source)
        return notebook, "it failed" if "fail" in notebook.cells[-1].source else ""

    def made(*arguments):
        executed.clear()
        return build.main(arguments), sorted(executed)

    monkeypatch.setattr(build, "notebooks", lambda: paths)
    monkeypatch.setattr(build, "make_book", lambda folder, executed: True)
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


def test_pages_load_nothing_from_anywhere(book, texts):
    for name, text in texts.items():
        strange = [url for url in Reader(text).loaded if re.match("(?!data:)([a-z]+:|//)", url)]
        assert strange == [], name
    for sheet in book.rglob("*.css"):
        assert not re.search(r"""(url\(|@import)\s*["']?\s*(https?:|//)""", sheet.read_text(encoding="utf-8")), sheet


def test_formulas_need_no_script(texts):
    body = texts["notebooks/06_evaluation.html"]
    assert re.search(r"<math[^>]*display=.block.*?<mfrac>", body, re.DOTALL)
    assert "mathjax" not in "".join(texts.values()).lower()


def public(module):
    """The functions and classes that a module of the core gives its users."""
    loaded = getattr(serlib, module)
    names = getattr(loaded, "__all__", [name for name in vars(loaded) if not name.startswith("_")])
    for name in names:
        value = getattr(loaded, name)
        if callable(value) and getattr(value, "__module__", "").startswith(f"serlib.{module}"):
            yield f"serlib.{module}.{name}"


def test_the_reference_holds_every_public_function_and_tells_where_it_is_used(book, texts):
    inventory = InventoryFile.loads((book / "objects.inv").read_bytes(), uri="")
    kinds = ("py:function", "py:class", "py:exception", "py:data", "py:attribute")
    known = {name for kind in kinds for name in inventory.data.get(kind, {})}
    wanted = {name for module in serlib.CORE for name in public(module)}
    assert len(wanted) > 150
    assert wanted - known == set()
    assert 'href="../docs/reference/corpora.html#serlib.index.parts"' in texts["notebooks/03_split.html"]
    assert 'href="../../notebooks/03_split.html#' in texts["docs/reference/corpora.html"]


def test_the_reference_holds_every_command_and_its_options(texts):
    page = texts["docs/reference/terminal.html"]
    commands = typer.main.get_command(cli.app).commands
    assert len(commands) > 10
    for name, command in commands.items():
        section = page.split(f'<section id="{name}">')[1].split("</section>")[0]
        shown = [option for taken in command.params if not taken.hidden for option in taken.opts]
        assert all(html.escape(option) in section for option in shown)


def test_the_front_page_shows_every_notebook_and_the_results_and_the_book_every_figure(book, texts):
    front = texts["docs/index.html"]
    for path in build.notebooks():
        notebook = nbformat.read(path, as_version=4)
        assert f'<a href="../notebooks/{path.stem}.html">{pages.title(notebook)}</a>' in front
        assert pages.question(notebook) in front
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `whisper\+logistic` \| (.*?) \|", readme, re.MULTILINE)
    assert f"<p>{row}</p>" in front
    shown = {Path(image["src"]).name for text in texts.values() for image in Reader(text).images if image.get("src")}
    assert {file.name for file in (PROJECT / "figures").glob("*.png")} <= shown
    assert "Made from EMODB; protocol random, loso; recipe paper; seed 42." in texts["docs/results.html"]
    assert "synthetic speech" in texts["notebooks/01_corpus_overview.html"]


def test_pages_are_in_order_for_a_screen_reader(texts):
    for name, text in texts.items():
        if name in ("index.html", "genindex.html", "search.html"):  # made by Sphinx and its theme
            continue
        page = Reader(text[text.index("<article") : text.index("</article>")])
        assert page.levels[0] == 1, name
        assert page.levels.count(1) == 1, name
        assert all(after <= level + 1 for level, after in itertools.pairwise(page.levels)), name
        assert '<html lang="en"' in text
        assert text.index("skip-link") < text.index("<article")
        for image in page.images:
            assert re.fullmatch(r"\S.{25,}", image["alt"]), name


def test_cells_of_headings_in_tables_say_what_they_head():
    table = "<table border='1'><thead><tr><th></th><th>uar</th></tr></thead>"
    table += "<tbody><tr><th>emodb</th><td>0.5</td></tr></tbody></table>"
    assert re.findall(r"<t[hd]\b.*?</t[hd]>", pages.legible(table)) == [
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
    body = pages.still("all", states, "widgets.explore_corpora(tables)")
    (image,) = Reader(body).images
    assert image["alt"] == "A dot & more."
    assert image["src"].endswith(DOT)
    assert "<dt>colour by</dt><dd>gender</dd>" in body
    assert f"<figcaption>{inspect.getdoc(widgets.explore_corpora).splitlines()[0]} A still picture" in body
    assert "a &lt; b" in body
    assert "of another widget" not in body


@pytest.fixture
def reading(browser, book):
    """A page on the book's front page, opened as a file: a request to anywhere else fails the test."""
    requests = []
    with browser() as context:
        context.on("request", lambda request: requests.append(request.url))
        for opened in listened(context):
            opened.goto((book / "index.html").as_uri())
            opened.wait_for_url("**/docs/index.html")
            yield opened
    assert requests
    assert [url for url in requests if not url.startswith((f"{book.as_uri()}/", "data:"))] == []


@pytest.mark.browser
def test_the_book_is_searched_and_leads_to_the_section(reading):
    reading.keyboard.press("Control+k")
    reading.keyboard.type("triangles that grow wider")
    reading.keyboard.press("Enter")
    reading.wait_for_url("**/search.html?q=*")
    found = reading.locator("#search-results li")
    found.first.wait_for()
    shot(reading, "book-search")
    with reading.expect_navigation():
        found.get_by_role("link", name="Turn a waveform into MFCCs").first.click()
    assert "02_preprocessing_mfcc.html" in reading.url


@pytest.mark.browser
def test_the_book_is_walked_through_with_the_keyboard(reading, book):
    reading.keyboard.press("Tab")
    assert "Skip to" in reading.locator(":focus").inner_text()
    shot(reading, "book-skip")
    reading.goto((book / "notebooks" / "01_corpus_overview.html").as_uri())
    titles = [reading.locator("article h1").inner_text()]
    while (following := reading.locator("a.right-next")).count() and len(titles) < len(build.notebooks()):
        following.focus()
        with reading.expect_navigation():
            reading.keyboard.press("Enter")
        titles.append(reading.locator("article h1").inner_text())
    assert len(set(titles)) == len(build.notebooks())


READABLE = """() => {
  const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const colour = rgb(getComputedStyle(element).backgroundColor);
    return colour[3] === 0 ? ground(element.parentElement) : colour;
  };
  const poor = new Set();
  let n = 0;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !element.checkVisibility()) continue;
    const colours = [rgb(getComputedStyle(element).color), ground(element)].map(luminance).sort((a, b) => a - b);
    const ratio = (colours[1] + 0.05) / (colours[0] + 0.05);
    n += 1;
    if (ratio < 4.5) poor.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [n, [...poor]];
}"""


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_the_book_can_be_read_in_light_and_dark_and_on_a_phone(reading, book, scheme, width):
    reading.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # else colours are still on their way
    reading.set_viewport_size({"width": width, "height": 844})
    for name in ("docs/index", "notebooks/06_evaluation", "docs/reference/evaluation", "docs/guide/predict"):
        reading.goto((book / f"{name}.html").as_uri())
        shot(reading, f"book-{name.replace('/', '-')}-{scheme}-{width}")
        n, poor = reading.evaluate(READABLE)
        assert n > 100
        assert poor == [], name
        assert reading.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
