// A map of utterances: points in a plane, told apart by colour and shape. Point at one to read what it is; choose it
// with a click, or go there with the arrow keys and press Enter, and the kernel answers with its sound and picture.

const WIDTH = 640, HEIGHT = 460, MARGIN = 26, REACH = 14;

// matplotlib's letters of markers, drawn within a circle of radius 5
const SHAPES = {
  o: "M-4.4,0a4.4,4.4 0 1,0 8.8,0a4.4,4.4 0 1,0 -8.8,0Z",
  s: "M-4,-4H4V4H-4Z",
  "^": "M0,-5L5,4H-5Z",
  D: "M0,-5.4L5.4,0L0,5.4L-5.4,0Z",
  v: "M0,5L5,-4H-5Z",
  P: "M-1.8,-5H1.8V-1.8H5V1.8H1.8V5H-1.8V1.8H-5V-1.8H-1.8Z",
  X: "M-5,-2.6L-2.6,-5L0,-2.4L2.6,-5L5,-2.6L2.4,0L5,2.6L2.6,5L0,2.4L-2.6,5L-5,2.6L-2.4,0Z",
  "*": "M0,-6L1.6,-1.9L6,-1.7L2.5,1L3.7,5.3L0,2.8L-3.7,5.3L-2.5,1L-6,-1.7L-1.6,-1.9Z",
  "<": "M-5,0L4,-5V5Z",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function html(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function mark(group) {
  return svg("path", { d: SHAPES[group.marker], class: "mark", style: `--colour: ${group.colour}` });
}

function render({ model, el }) {
  const plot = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: 0, role: "application", "aria-roledescription": "map of utterances",
  });
  const title = html("div", { class: "title" });
  const hint = html("div", { class: "hint" }, "Click a point to hear it, or use the arrow keys and Enter.");
  const tip = html("div", { class: "tip", "aria-live": "polite" });
  const legend = html("div", { class: "legend" });
  const caption = html("div", { class: "caption", "aria-live": "polite" });
  const sound = html("audio", { controls: "" });
  const picture = html("img");
  const chart = html("div", { class: "chart" }, plot, tip);
  const details = html("div", { class: "details" }, caption, sound, picture);
  el.classList.add("serlib-map");
  el.append(title, html("div", { class: "parts" }, chart, legend, details), hint);

  let data, places, points, ring, halo;
  let here = -1; // the point that is read out
  let pinned, pointed; // what the legend highlights: {section: number}, for good or while it is pointed at

  function draw() {
    data = model.get("data");
    el.hidden = data.x.length === 0;
    here = -1;
    pinned = {};
    pointed = {};
    title.textContent = data.title;
    plot.setAttribute("aria-label", `${data.title}. Arrow keys move from point to point, Enter plays one.`);
    const [left, right] = [Math.min(...data.x), Math.max(...data.x)];
    const [low, high] = [Math.min(...data.y), Math.max(...data.y)];
    places = data.x.map((x, k) => [
      MARGIN + ((x - left) / (right - left || 1)) * (WIDTH - 2 * MARGIN),
      HEIGHT - MARGIN - ((data.y[k] - low) / (high - low || 1)) * (HEIGHT - 2 * MARGIN),
    ]);
    points = places.map(([x, y], k) => {
      const point = mark(data.groups[data.group[k]]);
      point.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      return point;
    });
    ring = svg("circle", { r: 9, class: "ring" });
    halo = svg("circle", { r: 11, class: "halo" });
    plot.replaceChildren(
      svg("text", { x: WIDTH / 2, y: HEIGHT - 5, "text-anchor": "middle" }, data.axes[0]),
      svg("text", { transform: `translate(13 ${HEIGHT / 2}) rotate(-90)`, "text-anchor": "middle" }, data.axes[1]),
      svg("g", {}, ...points), halo, ring,
    );
    drawLegend();
    light();
    readOut(-1);
    showChosen();
  }

  function drawLegend() {
    const sections = [["group", data.by, data.groups]];
    if (data.corpora.length > 1) sections.push(["corpus", "corpus", data.corpora.map((name) => ({ name }))]);
    legend.replaceChildren(...sections.map(([section, heading, entries]) => {
      const buttons = entries.map((entry, number) => {
        const n = data[section].filter((own) => own === number).length;
        const button = html("button", { type: "button", "aria-pressed": "false" });
        if (entry.marker) button.append(svg("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" }, mark(entry)));
        button.append(html("span", {}, entry.name), html("span", { class: "n" }, String(n)));
        button.onpointerenter = () => { pointed = { [section]: number }; light(); };
        button.onpointerleave = () => { pointed = {}; light(); };
        button.onclick = () => {
          const isOn = pinned[section] === number;
          for (const other of buttons) other.setAttribute("aria-pressed", String(other === button && !isOn));
          if (isOn) delete pinned[section]; else pinned[section] = number;
          light();
        };
        return button;
      });
      return html("div", { role: "group", "aria-label": `highlight: ${heading}` },
        html("div", { class: "heading" }, heading), ...buttons);
    }));
  }

  function isLit(k) {
    return Object.entries({ ...pinned, ...pointed }).every(([section, number]) => data[section][k] === number);
  }

  function light() {
    points.forEach((point, k) => point.classList.toggle("dim", !isLit(k)));
  }

  function put(circle, k) {
    circle.setAttribute("visibility", k < 0 ? "hidden" : "visible");
    if (k >= 0) circle.setAttribute("transform", points[k].getAttribute("transform"));
  }

  function readOut(k) {
    here = k;
    put(ring, k);
    tip.hidden = k < 0;
    if (k < 0) return;
    tip.textContent = data.text[k];
    const [x, y] = places[k];
    tip.style.left = `${(100 * x) / WIDTH}%`;
    tip.style.top = `${(100 * y) / HEIGHT}%`;
    tip.classList.toggle("leftwards", x > WIDTH * 0.6);
    tip.classList.toggle("upwards", y > HEIGHT * 0.8);
  }

  function choose(k) {
    readOut(k);
    if (data.utterance[k] === model.get("answer").utterance) return play();
    details.setAttribute("aria-busy", "true");
    model.set("chosen", data.utterance[k]);
    model.save_changes();
  }

  function showChosen() {
    put(halo, data.utterance.indexOf(model.get("chosen")));
    if (!model.get("chosen")) details.removeAttribute("aria-busy"); // there was an error, and it is shown
  }

  function play() {
    sound.currentTime = 0;
    sound.play().catch((error) => { // a page that has not been touched yet may not play; its controls remain
      if (error.name !== "NotAllowedError" && error.name !== "AbortError") throw error;
    });
  }

  function exchange(element, bytes, type) {
    if (element.src) URL.revokeObjectURL(element.src);
    element.src = URL.createObjectURL(new Blob([bytes], { type }));
  }

  function showAnswer() {
    const answer = model.get("answer");
    details.hidden = !answer.utterance;
    details.removeAttribute("aria-busy");
    if (!answer.utterance) return;
    caption.textContent = answer.caption;
    sound.setAttribute("aria-label", `recording ${answer.utterance}`);
    picture.alt = answer.alt;
    exchange(picture, answer.png, "image/png");
    exchange(sound, answer.wav, "audio/wav");
  }

  function hearAnswer() {
    showAnswer();
    if (model.get("answer").utterance) play();
  }

  function nearest(event) {
    const box = plot.getBoundingClientRect();
    const scale = WIDTH / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let [best, least] = [-1, REACH];
    places.forEach(([px, py], k) => {
      const far = Math.hypot(px - x, py - y);
      if (far < least && isLit(k)) [best, least] = [k, far];
    });
    return best;
  }

  function next([dx, dy]) { // the nearest point within 45 degrees of the way
    if (here < 0) return Math.max(data.utterance.indexOf(model.get("chosen")), 0);
    let [best, least] = [here, Infinity];
    places.forEach(([px, py], k) => {
      const [x, y] = [px - places[here][0], py - places[here][1]];
      const [along, aside] = [x * dx + y * dy, Math.abs(x * dy - y * dx)];
      const far = along + 2 * aside;
      if (along > 0 && aside <= along && far < least && isLit(k)) [best, least] = [k, far];
    });
    return best;
  }

  plot.onpointermove = (event) => {
    const k = nearest(event);
    plot.classList.toggle("at", k >= 0);
    if (k >= 0) readOut(k);
  };
  plot.onpointerleave = () => readOut(-1);
  plot.onclick = (event) => {
    const k = nearest(event);
    if (k >= 0) choose(k);
  };
  plot.onkeydown = (event) => {
    if (event.key in ARROWS) readOut(next(ARROWS[event.key]));
    else if ((event.key === "Enter" || event.key === " ") && here >= 0) choose(here);
    else if (event.key === "Escape") readOut(-1);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the notebook has keys of its own
  };

  model.on("change:data", draw);
  model.on("change:chosen", showChosen);
  model.on("change:answer", hearAnswer);
  draw();
  showAnswer();
  return () => {
    model.off("change:data", draw);
    model.off("change:chosen", showChosen);
    model.off("change:answer", hearAnswer);
  };
}

export default { render };
