// Learning curves while they grow: a panel per measure, a line per series. What is drawn comes from the kernel.

const WIDTH = 460, HEIGHT = 230, LEFT = 42, RIGHT = 20, TOP = 10, BOTTOM = 36;

function make(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function element(name, className, ...children) {
  const node = document.createElement(name);
  node.className = className;
  node.append(...children);
  return node;
}

// Round steps, at most `most` of them, from 0 to `high`.
function ticks(high, most) {
  const rough = high / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, k) => Number((k * step).toPrecision(6)));
}

function line({ colour, dash }) {
  return { stroke: colour, "stroke-width": 2, "stroke-dasharray": dash, "stroke-linejoin": "round", fill: "none" };
}

function panel({ label, high, series }, history, nEpochs) {
  const epochs = history.epoch ?? [];
  const values = series.flatMap(({ column }) => history[column] ?? []).filter(Number.isFinite);
  const top = high ?? 1.05 * Math.max(1e-6, ...values);
  const x = (epoch) => LEFT + ((WIDTH - LEFT - RIGHT) * epoch) / nEpochs;
  const y = (value) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * Math.min(value, top)) / top;
  const picture = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  for (const tick of values.length || high ? ticks(top, 5) : []) {
    picture.append(
      make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick), class: tick ? "grid" : "axis" }),
      make("text", { x: LEFT - 7, y: y(tick) + 4, "text-anchor": "end" }, String(tick)),
    );
  }
  for (const tick of ticks(nEpochs, 6)) {
    picture.append(make("text", { x: x(tick), y: HEIGHT - BOTTOM + 17, "text-anchor": "middle" }, String(tick)));
  }
  picture.append(make("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, "epoch"));
  const legend = element("div", "serlib-curves-legend"), said = [];
  for (const one of series) {
    const points = (history[one.column] ?? []).flatMap((v, k) => (Number.isFinite(v) ? [[x(epochs[k]), y(v)]] : []));
    const last = (history[one.column] ?? []).at(-1);
    const value = Number.isFinite(last) ? last.toFixed(2) : "–";
    picture.append(make("polyline", { points: points.join(" "), ...line(one) }));
    if (points.length) picture.append(make("circle", { cx: points.at(-1)[0], cy: points.at(-1)[1], r: 3, fill: one.colour }));
    const swatch = make("svg", { width: 26, height: 10, "aria-hidden": true }, make("path", { d: "M1 5h24", ...line(one) }));
    legend.append(element("span", "", swatch, `${one.name} `, element("b", "", value)));
    said.push(`${one.name} ${value}`);
  }
  picture.setAttribute("aria-label", `${label} by epoch; after ${epochs.at(-1) ?? 0}: ${said.join(", ")}`);
  return element("div", "serlib-curves-panel", element("div", "serlib-curves-title", label), legend, picture);
}

export default {
  render({ model, el }) {
    el.classList.add("serlib-curves");
    const draw = () => {
      const drawn = model.get("panels").map((one) => panel(one, model.get("history"), model.get("n_epochs")));
      el.replaceChildren(...drawn);
    };
    model.on("change:history", draw);
    draw();
  },
};
