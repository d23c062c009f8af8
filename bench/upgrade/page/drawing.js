// Elements, scales, axes, marks, labels and the tooltip. Knows nothing of runs. All text is set as text.

// The document brings an empty drawing, which says what the namespace is called.
const kSvg = document.getElementById("namespace").namespaceURI;

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) node.append(child);
  }
  return node;
}

const element = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const shape = (tag, attributes, ...children) => fill(document.createElementNS(kSvg, tag), attributes, children);
const near = (value) => Math.round(value * 10) / 10;

const drawing = (width, height, label, ...children) =>
  shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label }, children);

const line = (x1, y1, x2, y2, kind) =>
  shape("line", { x1: near(x1), y1: near(y1), x2: near(x2), y2: near(y2), class: kind });
const box = (x, y, width, height, kind) =>
  shape("rect", { x: near(x), y: near(y), width: near(Math.max(0, width)), height: near(Math.max(0, height)), class: kind });
const words = (x, y, text, kind, anchor = "start") =>
  shape("text", { x: near(x), y: near(y), class: kind, "text-anchor": anchor }, text);

// How wide a text is going to be, in pixels.
const ruler = document.createElement("canvas").getContext("2d");
function widthOf(text, size = 12, weight = 400) {
  ruler.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

// --- scales: a function from a value to pixels, with .ticks and .low, .high

function linearScale(low, high, from, to, wanted) {
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
  const scale = (value) => from + (value - low) / (high - low) * (to - from);
  scale.ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high * 1.0001; tick += step) scale.ticks.push(tick);
  return Object.assign(scale, { low, high });
}

// Between whole or half decades around the values; what is smaller than the lowest stands at the edge.
function logScale(values, from, to, atMost = 8) {
  const positive = values.filter((value) => Number.isFinite(value) && value > 0);
  const margin = 1.25;
  const steps = (value, round) => {
    const decade = 10 ** Math.floor(Math.log10(value));
    const all = [1, 2, 5, 10].map((factor) => factor * decade);
    return round === "down" ? all.filter((step) => step <= value * 1.0001).at(-1)
      : all.find((step) => step >= value * 0.9999);
  };
  let low = positive.length > 0 ? steps(Math.min(...positive) / margin, "down") : 1;
  let high = positive.length > 0 ? steps(Math.max(...positive) * margin, "up") : 10;
  if (high / low < 10) { high *= 2; low /= 2; }
  const span = Math.log(high / low);
  const scale = (value) => (value <= low ? from : from + Math.log(Math.min(value, high) / low) / span * (to - from));
  const decades = Math.log10(high / low);
  const factors = decades <= 2.2 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((decades + 1) / atMost));
  scale.ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) {
    if (((power % every) + every) % every !== 0) continue;
    for (const factor of factors) {
      const tick = Number((factor * 10 ** power).toPrecision(3));
      if (tick >= low * 0.999 && tick <= high * 1.001) scale.ticks.push(tick);
    }
  }
  return Object.assign(scale, { low, high });
}

// --- axes

function leftAxis(scale, left, right, format) {
  return scale.ticks.map((tick) => [
    line(left, scale(tick), right, scale(tick), "grid"),
    words(left - 6, scale(tick) + 4, format(tick), "tick", "end"),
  ]);
}

// Labels that would touch the one before are left out.
function bottomAxis(scale, top, bottom, format, lines = true) {
  let free = -Infinity;
  return scale.ticks.map((tick) => {
    const x = scale(tick);
    const half = widthOf(format(tick), 11) / 2;
    const fits = x - half > free + 4;
    if (fits) free = x + half;
    return [
      lines ? line(x, top, x, bottom, "grid") : line(x, bottom, x, bottom + 4, "axis"),
      fits ? words(x, bottom + 16, format(tick), "tick", "middle") : null,
    ];
  });
}

// --- marks

// One for each system, so that colour is never all that tells them apart. Equal areas by eye.
function mark(kind, x, y, size, attributes) {
  if (kind === "circle") return shape("circle", { cx: near(x), cy: near(y), r: size, ...attributes });
  const outline = {
    square: [[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]],
    triangle: [[0, -1.15], [1.1, 0.85], [-1.1, 0.85]],
    diamond: [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]],
  }[kind] ?? [[-1, -0.3], [-0.3, -0.3], [-0.3, -1], [0.3, -1], [0.3, -0.3], [1, -0.3], [1, 0.3], [0.3, 0.3], [0.3, 1],
    [-0.3, 1], [-0.3, 0.3], [-1, 0.3]];
  const points = outline.map(([dx, dy]) => `${near(x + dx * size)},${near(y + dy * size)}`).join(" ");
  return shape("polygon", { points, ...attributes });
}

// Horizontal for as long as a value held: points of {from, to, value}; breaks where there is none.
function steps(points, x, y) {
  let path = "";
  let last = null;
  for (const { from, to, value } of points) {
    if (!Number.isFinite(value)) { last = null; continue; }
    path += `${last === null || Math.abs(last - from) > 0.5 ? "M" : "L"}${near(x(from))},${near(y(value))}H${near(x(to))}`;
    last = to;
  }
  return path;
}

// Moves labels apart along one direction: each at least `gap` from the next, all within [low, high].
function apart(wanted, gap, low, high) {
  const order = wanted.map((at, index) => ({ at, index })).sort((a, b) => a.at - b.at);
  let next = low;
  for (const label of order) { label.at = Math.max(label.at, next); next = label.at + gap; }
  next = high;
  for (const label of order.reverse()) { label.at = Math.min(label.at, next); next = label.at - gap; }
  const placed = [];
  for (const label of order) placed[label.index] = label.at;
  return placed;
}

// Places a label beside each of the marks {x, y, text}: where it touches no mark and no other label; at the
// first place that is least bad otherwise. Returns {x, y, anchor, away} in the order of the marks.
function labelPlaces(marks, bounds, size) {
  const overlap = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left))
    * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
  const taken = marks.map(({ x, y }) => ({ left: x - 8, right: x + 8, top: y - 8, bottom: y + 8 }));
  return marks.map(({ x, y, text }, own) => {
    const width = widthOf(text, size);
    let best = null;
    for (const distance of [0, 15, 30, 46, 62]) {
      for (const [side, dy] of [[1, 0], [-1, 0], [1, -1], [1, 1], [-1, -1], [-1, 1], [0, -1], [0, 1]]) {
        if (distance > 0 && dy === 0) continue;
        const down = dy * (side === 0 ? 14 + distance : 9 + distance);
        const left = side > 0 ? x + 10 : side < 0 ? x - 10 - width : x - width / 2;
        const area = { left, right: left + width, top: y + down - size * 0.55, bottom: y + down + size * 0.55 };
        const outside = Math.max(0, bounds.left - area.left) + Math.max(0, area.right - bounds.right)
          + Math.max(0, bounds.top - area.top) + Math.max(0, area.bottom - bounds.bottom);
        const cost = taken.reduce((sum, other, index) => sum + (index === own ? 0 : overlap(area, other)), 0)
          + outside * 100 + distance * 0.8;
        if (best === null || cost < best.cost) best = { cost, area, x: left, y: y + down + size * 0.35, away: distance > 0 };
      }
    }
    taken.push(best.area);
    return { x: best.x, y: best.y, away: best.away, anchorY: (best.area.top + best.area.bottom) / 2, width };
  });
}

// --- the tooltip

const tooltip = element("div", { id: "tooltip", role: "presentation" });

function showTip(text, x, y) {
  tooltip.textContent = text;
  tooltip.classList.add("shown");
  const { width, height } = tooltip.getBoundingClientRect();
  const left = Math.min(Math.max(6, x + 14), window.innerWidth - width - 6);
  const top = y - height - 12 > 4 ? y - height - 12 : y + 18;
  tooltip.style.transform = `translate(${Math.max(6, left)}px, ${Math.min(top, window.innerHeight - height - 6)}px)`;
}
const hideTip = () => tooltip.classList.remove("shown");

// What is pointed at moves away; what has the focus still has it, where reaching it has scrolled the page.
function followTip() {
  const { tell } = document.activeElement;
  if (tell === undefined) hideTip();
  else tell();
}

// A mark that can be pointed at, touched or reached by keyboard, and then says `text` (or text(x), x within the drawing).
function telling(node, text, name) {
  const at = (event) => (typeof text === "function"
    ? text(event.clientX - node.ownerSVGElement.getBoundingClientRect().left) : text);
  node.addEventListener("pointermove", (event) => showTip(at(event), event.clientX, event.clientY));
  node.addEventListener("pointerdown", (event) => showTip(at(event), event.clientX, event.clientY));
  node.addEventListener("pointerleave", hideTip);
  if (typeof text === "string") {
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", name ?? text.replaceAll("\n", ", "));
    node.tell = () => {
      const { right, top } = node.getBoundingClientRect();
      showTip(text, right, top);
    };
    node.addEventListener("focus", node.tell);
    node.addEventListener("blur", hideTip);
  }
  return node;
}

// --- frames

// A table of texts; rows of cells that are texts or nodes, the first a heading of its row.
function tableOf(caption, headings, rows) {
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element("table", {}, element("caption", {}, caption),
      element("thead", {}, element("tr", {}, headings.map((heading) => element("th", { scope: "col" }, heading)))),
      element("tbody", {}, rows.map((row) => element("tr", {}, row.map((cell, index) =>
        (index === 0 ? element("th", { scope: "row" }, cell) : element("td", {}, cell))))))));
}

// What is drawn depends on the width that there is; it is drawn again when that changes.
const widths = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const width = Math.floor(contentRect.width);
    if (width > 0 && width !== target.drawnAt) redraw(target, width);
  }
});
function redraw(target, width) {
  target.drawnAt = width;
  hideTip();
  target.replaceChildren(...[target.draw(width)].flat(Infinity));
}
function canvas(draw) {
  const target = element("div", { class: "canvas" });
  target.draw = draw;
  widths.observe(target);
  return target;
}
