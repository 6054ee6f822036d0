// A confusion matrix whose cells can be chosen, and the utterances of the chosen cell; a recording is asked for when
// it is to be played. Arrow keys move through the cells, Enter or the space bar chooses one.

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function percent(n, of) {
  return of ? `${Math.round((100 * n) / of)} %` : "none";
}

function inWords(truth, said, n, of) {
  const what = truth === said ? `${truth} recognised` : `${truth} taken for ${said}`;
  return `${what}: ${n} of ${of} ${of === 1 ? "utterance" : "utterances"}, ${percent(n, of)}`;
}

export default {
  render({ model, el }) {
    const matrix = make("div", { class: "serlib-matrix-cells" });
    const list = make("section", { class: "serlib-matrix-list", "aria-live": "polite" });
    el.classList.add("serlib-matrix");
    el.dataset.lmSuppressShortcuts = "true"; // arrow keys and Enter are the matrix's, not JupyterLab's
    el.append(matrix, list);
    let cells = [], sound = null;

    function choose(row, column) {
      const emotions = model.get("emotions");
      model.set("chosen", [emotions[row], emotions[column]]);
      model.save_changes();
    }

    function enter(row, column) {
      cells.flat().forEach((cell) => (cell.tabIndex = -1));
      cells[row][column].tabIndex = 0;
      cells[row][column].focus();
    }

    function press(event, row, column) {
      const last = cells.length - 1, step = STEPS[event.key];
      if (step) enter(...[row + step[0], column + step[1]].map((k) => Math.max(0, Math.min(last, k))));
      else if (event.key === "Home") enter(row, 0);
      else if (event.key === "End") enter(row, last);
      else if (event.key === "Enter" || event.key === " ") choose(row, column);
      else return;
      event.preventDefault();
    }

    function drawMatrix() {
      const emotions = model.get("emotions"), counts = model.get("counts");
      cells = counts.map((row, i) => {
        const of = row.reduce((sum, n) => sum + n, 0);
        return row.map((n, j) => {
          const label = inWords(emotions[i], emotions[j], n, of), share = of ? n / of : 0;
          const cell = make("td", { role: "gridcell", tabindex: i + j ? -1 : 0, "aria-label": label, title: label }, String(n));
          cell.style.setProperty("--share", `${Math.round(100 * share)}%`);
          cell.dataset.tenths = Math.floor(10 * share);
          cell.onclick = () => (enter(i, j), choose(i, j));
          cell.onkeydown = (event) => press(event, i, j);
          return cell;
        });
      });
      const body = cells.map((row, i) => {
        const of = counts[i].reduce((sum, n) => sum + n, 0);
        const recall = make("td", { class: "recall" }, of ? (counts[i][i] / of).toFixed(2) : "–");
        return make("tr", {}, make("th", { scope: "row" }, emotions[i]), ...row, recall);
      });
      const heads = emotions.map((emotion) => make("th", { scope: "col" }, emotion));
      const corner = make("th", {}, "acted ↓ predicted →");
      const head = make("tr", {}, corner, ...heads, make("th", { scope: "col" }, "recall"));
      const grid = { role: "grid", "aria-label": "Confusion matrix; choose a cell to list its utterances" };
      matrix.replaceChildren(make("table", grid, make("thead", {}, head), make("tbody", {}, ...body)));
      markChosen();
    }

    function markChosen() {
      const emotions = model.get("emotions"), [truth, said] = model.get("chosen");
      cells.forEach((row, i) =>
        row.forEach((cell, j) => cell.setAttribute("aria-selected", emotions[i] === truth && emotions[j] === said)),
      );
    }

    function button({ utterance, at_hand: atHand }) {
      if (!atHand) return "–";
      const play = make("button", { type: "button", "aria-label": `play ${utterance}` }, "▶ play");
      play.onclick = () => model.send({ play: utterance });
      return play;
    }

    function drawList() {
      const { cell, rows, note } = model.get("listed");
      sound?.remove();
      if (!cell) {
        list.replaceChildren(make("p", { class: "hint" }, "Choose a cell of the matrix: its utterances are listed here."));
        return;
      }
      const [truth, said] = cell, row = model.get("counts")[model.get("emotions").indexOf(truth)];
      const title = make("h4", {}, inWords(truth, said, rows.length, row.reduce((sum, n) => sum + n, 0)));
      const heads = ["utterance", "speaker", "acted", "predicted", "probability", "hear it"];
      const body = rows.map((one) => {
        const facts = [one.utterance, one.speaker, one.y_true, one.y_pred, one.probability.toFixed(2)];
        return make("tr", { "data-utterance": one.utterance }, ...facts.map((fact) => make("td", {}, fact)), make("td", {}, button(one)));
      });
      const head = make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name)));
      const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
      const scroll = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "utterances of the cell" }, table);
      list.replaceChildren(title, make("p", { class: "hint" }, note), ...(rows.length ? [scroll] : []));
    }

    function hear({ played }, [wav]) {
      sound?.remove();
      sound = make("audio", { controls: "", "aria-label": played });
      sound.src = URL.createObjectURL(new Blob([wav], { type: "audio/wav" }));
      list.querySelector("h4").after(sound);
      list.querySelectorAll("tr[data-utterance]").forEach((row) => row.classList.toggle("played", row.dataset.utterance === played));
      sound.play().catch(() => {}); // a browser may want another click: the controls are there
    }

    model.on("change:counts", drawMatrix);
    model.on("change:chosen", markChosen);
    model.on("change:listed", drawList);
    model.on("msg:custom", hear);
    drawMatrix();
    drawList();
  },
};
