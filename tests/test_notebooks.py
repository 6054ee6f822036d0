"""The notebooks: the house rules, and that each runs alone, every cell twice, without an error nobody would see."""

import ast
import asyncio
import html
import re
import tempfile
import types
from pathlib import Path

import nbformat
import pytest
import zmq.asyncio
from nbformat import v4

import build
import editions
import pages
from conftest import offline, put_at_hand

PROJECT = Path(__file__).resolve().parent.parent
PATHS = build.notebooks()
(FIRST,) = (path for path in PATHS if path.stem == "03_split")
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
VERBS = ("See", "Turn", "Split", "Train", "Judge", "Hear", "Find", "Compare", "Cross", "Bring", "Keep", "Tell", "Test")
FORBIDDEN = {
    "import *": r"import \*",
    "sys.path": r"sys\.path",
    "a magic or a shell command": r"^\s*[%!]",
    "an absolute path": r"""["'](/|~|[A-Za-z]:\\)""",
    "a filter for all warnings": r"simplefilter|filterwarnings\(\s*[\"']ignore[\"']\s*\)|-W\s*ignore",
}
STRANGE_WORDS = r"\b(datasets?|clips?|audio files?|wav files?|subjects?|WA|window_size|dev set)\b"


def read(path):
    return nbformat.read(path, as_version=4)


def code_of(path):
    """The cells of code that a student reads."""
    return [cell for cell in read(path).cells if cell.cell_type == "code" and not is_claims(cell)]


def prose_of(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def is_claims(cell):
    return "claims" in cell.metadata.get("tags", [])


def defined(source):
    return [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_each_notebook_has_a_number_of_its_own():
    numbers = [int(path.name[:2]) for path in PATHS]
    assert numbers == sorted(set(numbers))
    assert numbers == list(range(1, 12))


@each
def test_a_notebook_is_stored_bare_and_valid(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert not any(re.fullmatch("[0-9a-f]{8}", cell_id) for cell_id in ids), "ids are words"
    assert all(cell.outputs == [] and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)


@each
def test_the_first_cell_says_what_to_expect(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith(tuple(f"# {verb} " for verb in VERBS)), "the title has a verb"
    assert pages.question(read(path)).endswith("?")
    for heading in ("**Question**", "**You will**", "**You need**", "**Time to expect**", "tiny", "full"):
        assert heading in first.source


@each
def test_imports_come_first_and_settings_show_themselves(path):
    imports, shown, *others = [cell.source for cell in code_of(path)]
    assert all(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(imports).body)
    assert "settings.current()" in shown
    assert "print(" in shown
    for source in (shown, *others):
        assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(ast.parse(source)))
        assert source == shown or "settings.current()" not in source, "there is one settings cell"


@each
def test_a_notebook_is_short(path):
    sources = [cell.source for cell in code_of(path)]
    assert len(sources) <= 25
    assert sum(len(source.splitlines()) for source in sources) <= 200
    assert max(len(source.splitlines()) for source in sources) <= 15
    assert len(prose_of(path)) >= len(sources)
    assert all(len(cell.source.splitlines()) <= 15 for cell in read(path).cells if is_claims(cell))


@each
def test_nothing_forbidden_is_in_the_code(path):
    for cell in code_of(path):
        for what, pattern in FORBIDDEN.items():
            assert not re.search(pattern, cell.source, re.MULTILINE), f"{cell.id} has {what}"


def test_functions_are_few_and_defined_once():
    everywhere = [name for path in sorted((PROJECT / "serlib").rglob("*.py")) for name in defined(path.read_text())]
    for path in PATHS:
        here = [name for cell in code_of(path) for name in defined(cell.source)]
        assert len(here) <= 2, path.name
        assert not set(here) & set(everywhere), f"{path.name} defines again what is defined elsewhere"
        everywhere += here


@each
def test_exercises_are_one_to_compute_one_to_judge_and_one_open(path):
    notebook = read(path)
    (start,) = [k for k, cell in enumerate(notebook.cells) if cell.source.startswith("## Try it")]
    minutes = int(re.match(r"## Try it\n\nAbout (\d+) minutes\. You need ", notebook.cells[start].source)[1])
    exercises = notebook.cells[start + 1 : -1]
    headings = [re.match(r"### (\d)\. (\w+): .+ \((\d+) minutes\)\n", cell.source) for cell in exercises]
    assert [heading.groups()[:2] for heading in headings if heading] == [
        *(("1", "Compute"), ("2", "Judge"), ("3", "Open"))
    ]
    assert sum(int(heading[3]) for heading in headings if heading) == minutes
    assert all(heading or "exercise" in cell.metadata.tags for heading, cell in zip(headings, exercises, strict=True))
    assert f'exercises.check("{path.name[:2]}-' in exercises[1].source
    assert not any("solution" in cell.metadata.get("tags", []) for cell in notebook.cells)


@each
def test_claims_are_checked_in_a_hidden_cell_before_the_exercises(path):
    cells = read(path).cells
    (claims,) = [k for k, cell in enumerate(cells) if is_claims(cell)]
    assert cells[claims].metadata.jupyter.source_hidden
    assert cells[claims + 1].source.startswith("## Try it")
    assert cells[claims].source.count("exercises.claim(") >= 3


@each
def test_students_get_no_solutions_and_teachers_one_for_each_exercise(path):
    student = editions.student(read(path))
    assert not any(is_claims(cell) or "solution" in cell.metadata.get("tags", []) for cell in student.cells)
    assert "](../" not in nbformat.writes(student)
    teacher = editions.teacher(editions.student(read(path)), editions.solutions_of(path))
    nbformat.validate(teacher)
    kinds = [cell.id.split("-")[:2] for cell in teacher.cells if re.match("(exercise|solution)-", cell.id)]
    in_order = [tuple(kind) for k, kind in enumerate(kinds) if k == 0 or kinds[k - 1] != kind]
    assert in_order == [(what, number) for number in "123" for what in ("exercise", "solution")]
    assert any(cell.cell_type == "markdown" for cell in teacher.cells if cell.id.startswith("solution-2"))


def test_an_edition_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        editions.main(["pupil"])
    assert re.search("invalid choice: 'pupil' .*student.*teacher", capsys.readouterr().err)


def test_editions_are_written(workplace, monkeypatch):
    monkeypatch.setattr(build, "notebooks", lambda: [FIRST])
    for edition, n_solutions in (("student", 0), ("teacher", 4)):
        editions.main([edition])
        written = read(workplace / "build" / edition / FIRST.name)
        assert sum("solution" in cell.metadata.get("tags", []) for cell in written.cells) == n_solutions


@each
def test_a_plain_figure_stands_before_its_widget(path):
    drawn = False
    for cell in code_of(path):
        if re.search(r"^widgets\.\w+\(", cell.source, re.MULTILINE):
            assert drawn, f"{cell.id} shows a widget before any figure"
        drawn |= "figures.draw_" in cell.source
    assert drawn


@each
def test_each_figure_is_described_in_words(path):
    for cell in code_of(path):
        assert ("figures.draw_" in cell.source) == bool(cell.metadata.get("alt", "").endswith(".")), cell.id


@each
def test_prose_states_no_number_that_a_cell_can_print(path):
    for source in prose_of(path)[1:]:
        assert not re.search(r"\d[.,]\d|\d ?%|\d percent", source), source


@each
def test_prose_uses_the_words_of_the_field(path):
    for source in prose_of(path):
        assert not re.search(STRANGE_WORDS, source), source


@each
def test_the_last_cell_sums_up_and_leads_on(path):
    last = read(path).cells[-1]
    assert last.source.startswith("## What we learned")
    number = PATHS.index(path)
    following = PATHS[number + 1] if number + 1 < len(PATHS) else PATHS[0]
    assert f"[{pages.title(read(following))}]({following.name})" in last.source


@each
def test_links_between_notebooks_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", "\n".join(prose_of(path))):
        assert (path.parent / target).is_file(), target


@each
def test_a_notebook_makes_the_results_that_it_reads(path):
    code = "\n".join(cell.source for cell in code_of(path))
    assert "results.stored(" not in code or "load_or_run(" in code.split("results.stored(")[0]
    assert "bundle.read(" not in code or re.search(r"bundle\.(save|train|load_or_train)\(", code)


def in_full(path):
    """The teacher's edition with the claims: all that is ever executed of a notebook."""
    return editions.teacher(read(path), editions.solutions_of(path))


def doubled(notebook):
    """Repeat every code cell, and at the end ask whether TensorFlow was imported."""
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code":
            cells.append(nbformat.from_dict({**cell, "id": f"{cell.id}-again"[:64]}))
    question = v4.new_code_cell('import sys\nprint("tensorflow" in sys.modules)', id="imported")
    return v4.new_notebook(cells=[*cells, question], metadata=notebook.metadata)


@pytest.fixture(scope="session")
def refused(tmp_path_factory):
    """The file in which kernels write what they tried to reach outside this machine."""
    return tmp_path_factory.mktemp("refused") / "refused.txt"


@pytest.fixture(scope="session")
def executed(made, trained, refused, tmp_path_factory):
    """A function that returns a notebook's doubled and executed edition, and its failure.

    It runs once, in a folder of its own where nothing is at hand but the synthetic corpora and the published results,
    and without a network. `FIRST` trains in worker processes and stores its results, as for a reader. The others find
    most results, and train in one process, because a worker takes longer to start than to train.
    """
    known = {}

    def run(path):
        if path not in known:
            folder = tmp_path_factory.mktemp(path.stem)
            put_at_hand(made, folder, None if path == FIRST else trained)
            (folder / "results").symlink_to(PROJECT / "results")  # they come with the project
            with pytest.MonkeyPatch.context() as patch:
                for name, value in offline(refused).items():
                    patch.setenv(name, value)
                if path == FIRST:
                    patch.delenv("LOKY_MAX_CPU_COUNT")
                known[path] = build.execute(doubled(in_full(path)), folder)
        return known[path]

    return run


@pytest.mark.notebook
@each
def test_a_notebook_runs_alone_with_every_cell_twice(path, executed):
    _, failure = executed(path)
    assert not failure, failure


@pytest.mark.notebook
@each
def test_a_check_fails_on_what_students_get_and_passes_the_solution(path, executed):
    printed = {}
    for cell in executed(path)[0].cells:
        shown = [
            output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ())
        ]
        printed[cell.id] = "".join(shown)
    assert re.match(r"\d\d-[a-z-]+: not yet\. ", printed["exercise-1-start"])
    assert re.match(r"\d\d-[a-z-]+: right\.", printed["solution-1-1"])


@pytest.mark.notebook
@each
def test_a_notebook_reaches_for_nothing_outside_this_machine(path, executed, refused):
    executed(path)
    assert refused.read_text() == ""


@pytest.mark.notebook
@each
def test_an_executed_notebook_tells_no_folder(path, executed, made):
    shown = nbformat.writes(executed(path)[0])
    for folder in (PROJECT, Path.home(), made["emodb"].parent, tempfile.gettempdir()):
        assert f"{folder}/" not in shown


@pytest.mark.notebook
@each
def test_only_notebooks_that_train_import_tensorflow(path, executed):
    training = r"(load_or_\w+|evaluate\.run|evaluate\.across|fit_fold|watch_training|bundle\.train|\.build)\("
    trains = any(re.search(training, cell.source) for cell in code_of(path))
    answer = "".join(output["text"] for output in executed(path)[0].cells[-1].outputs)  # in one part, or in two
    assert answer.strip() in ("False", "True")
    assert trains or answer.strip() == "False"


@pytest.mark.notebook
@each
def test_cells_print_nothing_on_stderr(path, executed):
    printed = [
        (cell.id, output["text"])
        for cell in executed(path)[0].cells
        for output in cell.get("outputs", ())
        if output.get("name") == "stderr"
    ]
    assert printed == []


@pytest.mark.notebook
@each
def test_outputs_in_the_book_need_no_network_and_every_picture_is_described(path, executed):
    shown = pages.shown(executed(path)[0])
    parts = [(cell, output["data"]) for cell in shown.cells for output in cell.get("outputs", ()) if "data" in output]
    bodies = "".join(data["text/html"] for _, data in parts if "text/html" in data)
    assert "<script" not in bodies
    assert not re.search(r"""(src|srcset|data|action|href)\s*=\s*["']?\s*(https?:|//)""", bodies)
    assert not re.search(r"""<link|@import|url\(|<iframe|<object|<embed""", bodies)
    widgets = sum(bool(re.search(r"\bwidgets\.\w+\(", cell.source)) for cell in code_of(path))
    assert bodies.count('<figure class="widget">') == 2 * widgets  # every cell runs twice
    described = [cell.metadata["mystnb"]["image"]["alt"] for cell, data in parts if "image/png" in data]
    assert described
    for alt in [*described, *(html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', bodies))]:
        assert re.fullmatch(r"[A-Z].{30,}\.", alt), alt
        assert not re.search(r"object at 0x|\.png|Figure size", alt)
    assert not any(is_claims(cell) for cell in shown.cells)
    assert "synthetic speech" in shown.cells[0].source


def notebook_of(*sources, **more):
    """A notebook of code cells; their ids are numbers, or those given."""
    cells = [v4.new_markdown_cell("# Break something\n\n**Question**: Does it show?", id="title")]
    named = {f"cell-{number}": source for number, source in enumerate(sources)} | more
    cells += [v4.new_code_cell(source, id=cell_id) for cell_id, source in named.items()]
    return v4.new_notebook(cells=cells)


BROKEN_SHELL = """
import ipywidgets
from serlib import widgets

slider = ipywidgets.IntSlider(1, 0, 3)
shell = widgets.InteractiveFigure(lambda number: (None, "", str(1 / number)), {"number": slider})
shell
"""


INTERACT = "import ipywidgets\nslider = ipywidgets.IntSlider(1, 0, 3)\n"
PLANTED = {
    "interact": [INTERACT + "slider.value = 0", "ipywidgets.interact(lambda number: 1 / number, number=slider);"],
    "interact, then mended": [
        INTERACT + "ipywidgets.interact(lambda number: 1 / number, number=slider);",
        "slider.value = 0",
        "slider.value = 2",
    ],
    "output": ["import ipywidgets\noutput = ipywidgets.Output()\noutput", "with output:\n    1 / 0"],
    "output never shown": ["import ipywidgets\noutput = ipywidgets.Output()", "with output:\n    1 / 0"],
    "output with stderr": [
        "import ipywidgets, sys, traceback\noutput = ipywidgets.Output()\noutput",
        "with output:\n    try:\n        1 / 0\n    except ZeroDivisionError:\n        traceback.print_exc()",
    ],
    "button": ["import ipywidgets\nb = ipywidgets.Button()\nb.on_click(lambda _: 1 / 0)\nb", "b.click()"],
    "shell": [BROKEN_SHELL, "slider.value = 0"],
    "shell, then mended": [BROKEN_SHELL, "slider.value = 0", "slider.value = 2"],
    "anywidget": [
        "import anywidget, traceback, traitlets",
        """
class Meter(anywidget.AnyWidget):
    _esm = "export default { render() {} }"
    report = traitlets.Dict().tag(sync=True)

meter = Meter()
try:
    1 / 0
except ZeroDivisionError:
    meter.report = {"last": ["fine", traceback.format_exc()]}
""",
    ],
    "stderr": ["import sys\nprint('Traceback (most recent call last):\\nZeroDivisionError', file=sys.stderr)"],
    "stdout": [
        "import sys, traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    traceback.print_exc(file=sys.stdout)"
    ],
    "HTML": ["from IPython.display import HTML\nHTML('<pre class=serlib-error>ZeroDivisionError</pre>')"],
    "thread": ["import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()"],
}


WORKING = [
    BROKEN_SHELL,
    "slider.value = 2",
    "import anywidget\nclass Meter(anywidget.AnyWidget):\n    _esm = 'say(\"serlib-error\")'\nMeter()",
]
CALLS = {
    'socket.create_connection(("192.0.2.1", 80), timeout=1)': "192.0.2.1",
    'socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("192.0.2.2", 53))': "192.0.2.2",
    'urllib.request.urlopen("http://serlib.test", timeout=1)': "serlib.test",
}
CALL = "import contextlib, socket, urllib.request\nwith contextlib.suppress(OSError):\n    "


def id_of(case):
    return re.sub("[^a-zA-Z]+", "-", case)


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """The errors found in each case, of one notebook that holds all cases; and what its kernel tried to reach."""
    cases = {**PLANTED, "working": WORKING, "call": [CALL + call for call in CALLS]}
    cells = {f"{id_of(case)}_{k}": source for case, sources in cases.items() for k, source in enumerate(sources)}
    folder = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in offline(folder / "refused.txt").items():
            patch.setenv(name, value)
        _, failure = build.execute(notebook_of(**cells), folder, timeout_s=600)
    errors = [error for error in re.split(r"^(?=cell \d+ \()", failure, flags=re.MULTILINE) if error]
    found = {case: [error for error in errors if f"({id_of(case)}_" in error.splitlines()[0]] for case in cases}
    return found, (folder / "refused.txt").read_text()


@pytest.mark.notebook
@pytest.mark.parametrize("case", PLANTED)
def test_an_error_that_nobody_would_see_is_caught(case, planted):
    found, _ = planted
    assert "ZeroDivisionError" in "".join(found[case])


@pytest.mark.notebook
def test_a_working_widget_is_no_error(planted):
    found, _ = planted
    assert found["working"] == []


@pytest.mark.notebook
def test_a_call_home_is_noticed_though_the_notebook_passes_over_it(planted):
    found, refused = planted
    assert found["call"] == []
    assert re.findall(r"^socket\.\w+ (\S+) ", refused, re.MULTILINE) == list(CALLS.values())


def test_the_kernel_is_asked_and_a_reply_that_woke_nobody_is_found(monkeypatch):
    monkeypatch.setattr(build, "AWAKE_S", 0.1)
    client, asked = build.Client(v4.new_notebook()), []

    async def wait():
        with zmq.asyncio.Context() as context, context.socket(zmq.PAIR) as ours, context.socket(zmq.PAIR) as kernel:
            ours.bind("inproc://shell")
            kernel.connect("inproc://shell")
            reply = ours.recv()
            await kernel.send(b"reply")
            zmq.Socket.shadow(ours.underlying).get(zmq.EVENTS)  # as sending does
            await asyncio.sleep(0.5)
            assert not reply.done()
            channel = types.SimpleNamespace(socket=ours)
            client.kc = types.SimpleNamespace(shell_channel=channel, kernel_info=lambda: asked.append("kernel_info"))
            asking = asyncio.ensure_future(client._ask())
            try:
                return await asyncio.wait_for(reply, 60)
            finally:
                asking.cancel()

    assert asyncio.run(wait()) == b"reply"
    assert asked


@pytest.mark.notebook
def test_the_build_names_the_cell_that_fails_and_exits_with_1(workplace, monkeypatch, capsys):
    broken = workplace / "01_broken.ipynb"
    nbformat.write(notebook_of("answer = 42", "answer / 0"), broken)
    monkeypatch.setattr(build, "notebooks", lambda: [broken])
    monkeypatch.setattr(build.index, "corpus_folder", lambda name: None)
    assert build.main() == 1
    printed = capsys.readouterr().err
    for part in ("01_broken.ipynb failed", "cell-1", "answer / 0", "ZeroDivisionError"):
        assert part in printed
    assert (workplace / "build" / "tiny" / "notebooks" / "01_broken.ipynb").is_file()
    assert not (workplace / "build" / "tiny" / "book").exists()
