// The pictures: each takes a view ({shown, reference, onlyQuiet, …}, see page.js) and gives a node that draws itself.

const colour = (group) => `of-${Object.hasOwn(kSystems, group.system) ? group.system : "other"}`;
const shapeOf = (group) => (Object.hasOwn(kSystems, group.system) ? kSystems[group.system].shape : "cross");
const finite = (values) => values.filter(Number.isFinite);

// Series that are told by more than colour: a mark and the name.
function keyOf(group) {
  return element("span", { class: `key ${colour(group)}` }, drawing(14, 14, "", mark(shapeOf(group), 7, 7, 5,
    { class: "dot" })), element("span", {}, group.title));
}

function legend(...entries) {
  return element("p", { class: "legend" }, entries.map(([sample, text]) =>
    element("span", {}, shape("svg", { width: 26, height: 12, "aria-hidden": "true" }, sample), text)));
}

// --- latency over time, a panel for each strategy

// How long a time is drawn: as long as the longest lasts, or as most of them do, where that is much less.
function spansOf(view) {
  const ends = view.shown.map((group) => summaryOf(countedRuns(group, view.onlyQuiet).map((run) => run.duration)).median)
    .filter(Number.isFinite).sort((a, b) => a - b);
  const whole = Math.max(0.001, ends.at(-1) ?? 0);
  const answered = Math.max(0, ...finite(view.shown.map((group) => summarize(group, "firstAnswer", view.onlyQuiet).median)));
  const most = Math.max(ends[Math.floor((ends.length - 1) * 0.85)] ?? 0, answered) * 1.2;
  return { whole, start: most * 1.5 < whole ? Number(most.toPrecision(2)) : whole };
}

function latencyFigure(view) {
  const isThere = (kind) => view.shown.some((group) => group.runs.some((run) => run[kind].count > 0));
  const kinds = (view.kinds.some(isThere) ? view.kinds.filter(isThere) : view.kinds).map((kind) =>
    ({ kind, which: percentileOf(view.shown, kind, view.onlyQuiet, view.percentile) }));
  const series = view.shown.map((group) => ({
    group,
    lines: kinds.map(({ kind, which }) => ({ kind, which, points: secondsOf(group, kind, view.onlyQuiet, which) })),
    first: summarize(group, "firstAnswer", view.onlyQuiet),
    completion: summarize(group, "completion", view.onlyQuiet),
    completionText: figureText(group, "completion", view.onlyQuiet, medianText),
    changeAt: summaryOf(countedRuns(group, view.onlyQuiet).map((run) => run.changeAt)).median,
    end: summaryOf(countedRuns(group, view.onlyQuiet).map((run) => run.duration)).median,
  }));
  const values = series.flatMap(({ lines }) => lines.flatMap(({ points }) =>
    points.flatMap(({ level, longest }) => [level.least, longest.least, longest.most])));
  const spans = spansOf(view);
  const end = spans[view.span];
  for (const line of series.flatMap(({ lines }) => lines)) {
    line.points = line.points.filter(({ from }) => from < end).map((point) => ({ ...point, to: Math.min(point.to, end) }));
  }
  const draw = (width) => {
    const columns = width >= 1060 ? 4 : width >= 780 ? 3 : width >= 520 ? 2 : 1;
    const space = 18;
    const each = Math.floor((width - space * (columns - 1)) / columns);
    const grid = element("div", { class: "panels", style: `grid-template-columns: repeat(${columns}, 1fr)` });
    for (const one of series) grid.append(latencyPanel(one, values, end, each, columns === 1 ? 138 : 168));
    return grid;
  };
  const few = series.some(({ lines }) => lines.some(({ points }) => points.some(({ isFew }) => isFew)));
  return [canvas(draw), latencyLegend(kinds, view.percentile, few)];
}

function latencyLegend(kinds, wanted, few) {
  const both = kinds.length > 1;
  const swatch = (kind, ...nodes) => shape("g", { class: `series ${kind}` }, nodes);
  const entries = [];
  for (const { kind, which } of kinds) {
    const whose = both ? `${kind}, ` : "";
    const why = which === wanted ? "" : ` (too few in a second for ${percentileTitle(wanted)})`;
    entries.push([swatch(kind, line(1, 6, 25, 6, "level")), `${whose}${percentileTitle(which)}${why}`],
      [swatch(kind, line(1, 6, 25, 6, "longest")), `${whose}longest`]);
  }
  if (few) {
    entries.push([swatch(kinds[0].kind, line(1, 6, 25, 6, "level few"), line(1, 10, 25, 10, "longest few")),
      "faint: fewer than half of the repetitions last that long"]);
  }
  entries.push([[box(1, 1, 24, 10, "gap")], "opened, no answer yet"], [[line(13, 0, 13, 12, "change")], "the migration begins"],
    [[box(1, 3, 24, 6, "track"), box(1, 3, 14, 6, "progress")], "rows migrated"]);
  return legend(...entries);
}

function latencyPanel({ group, lines, first, completion, completionText, changeAt, end: own }, values, end, width, height) {
  const left = 52, right = width - 6, top = 6, bottom = height - 40;
  const x = linearScale(0, end, left, right, width > 300 ? 6 : 4);
  const y = logScale(values, bottom, top, 6);
  const picture = drawing(width, height, `${group.title}: latency over time`);
  picture.classList.add(colour(group));
  picture.append(...[leftAxis(y, left, right, (tick) => timeText(tick)),
    bottomAxis(x, top, bottom + 14, (tick) => (tick === 0 ? "0" : `${digits(tick)} s`), false)].flat(3).filter(Boolean));
  if (Number.isFinite(first.median)) {
    const gapEnd = Math.min(right, Math.max(x(first.median), left + 1.5));
    picture.append(box(left, top, gapEnd - left, bottom - top, "gap"));
    if (gapEnd - left > widthOf("no answer", 11) + 12) {
      picture.append(words((left + gapEnd) / 2, (top + bottom) / 2 - 3, "no answer", "gapText", "middle"),
        words((left + gapEnd) / 2, (top + bottom) / 2 + 12, timeText(first.median), "gapText strong", "middle"));
    }
  }
  for (const { kind, points } of lines) {
    const layer = shape("g", { class: `series ${kind}` });
    for (const what of ["longest", "level"]) {
      for (const point of points) {
        const { least, most, count } = point[what];
        if (count > 1 && point.to > point.from) {
          layer.append(box(x(point.from), y(most), x(point.to) - x(point.from), y(least) - y(most),
            `band ${what}${point.isFew ? " few" : ""}`));
        }
      }
      for (const isFew of [false, true]) {
        const path = steps(points.map((point) => ({ from: point.from, to: point.to,
          value: point.isFew === isFew ? point[what].median : NaN })), x, y);
        if (path !== "") layer.append(shape("path", { d: path, class: isFew ? `${what} few` : what }));
      }
    }
    picture.append(layer);
  }
  if (changeAt >= 0 && changeAt <= end) picture.append(line(x(changeAt), top - 4, x(changeAt), bottom + 12, "change"));
  picture.append(...progressStrip(group, lines[0].points, completion, first, x, left, right, bottom + 5, own));
  if (own > end) picture.append(words(right, top + 5, `to ${timeText(own, 2)} →`, "goesOn", "end"));
  picture.append(telling(box(left, 0, right - left, height, "sense"), (at) => {
    const time = Math.max(0, (at - left) / (right - left) * end);
    return momentText(group, lines, first, time);
  }));
  return element("div", { class: "panel" },
    element("h3", {}, keyOf(group)),
    element("p", {}, `first answer ${textOf(first.median, "time")}`,
      completionText === "–" ? "" : ` · complete ${completionText}`),
    picture);
}

// How much is in the new form, under the time axis: filled as far up as rows are migrated.
function progressStrip(group, points, completion, first, x, left, right, top, end) {
  const height = 6;
  const outline = [[left, top + height]];
  let from = 0, share = 0;
  const add = (to, next) => {
    const [a, b] = [from, to].map((time) => Math.min(right, x(time)));
    outline.push([a, top + height * (1 - share)], [b, top + height * (1 - next)]);
    from = to;
    share = next;
  };
  const part = (rows) => Math.min(1, rows / group.rows);
  const known = points.filter((point) => Number.isFinite(point.migrated));
  if (completion.median <= first.median * 1.001) add(first.median, 1);
  for (const point of known) {
    const done = Number.isFinite(completion.median) && completion.median <= point.to;
    if (done && share < 1) add(Math.max(from, completion.median), 1);
    add(point.to, done ? 1 : Math.max(share, part(point.migrated)));
  }
  if (share > 0) add(Math.max(from, end), share);
  outline.push([Math.min(right, x(from)), top + height]);
  return [box(left, top, right - left, height, "track"),
    shape("polygon", { class: "progress", points: outline.map((point) => point.map(near).join(",")).join(" ") })];
}

function momentText(group, lines, first, time) {
  if (time < first.median) return `${group.title}\nno answer before ${timeText(first.median)}`;
  const texts = [`${group.title}, after ${timeText(time, 2)}`];
  for (const { kind, which, points } of lines) {
    const point = points.find(({ from, to }) => time >= from && time < to);
    if (point === undefined) continue;
    texts.push(`${kind}: ${percentileTitle(which)} ${spreadText(point.level, "time")}`,
      `${kind}: longest ${spreadText(point.longest, "time")}`);
    if (kind === lines.at(-1).kind) {
      if (point.of > 1) texts.push(`n = ${point.count} of ${point.of} repetitions last that long`);
      texts.push(`${whole(point.migrated)} of ${whole(group.rows)} rows migrated by ${timeText(point.to, 2)}`);
    }
  }
  return texts.join("\n");
}

// --- cost against latency

function costFigure(view, costKey, latencyKey) {
  const cost = kMetrics[costKey], latency = kMetrics[latencyKey];
  const points = view.series.map((group) => ({
    group, cost: summarize(group, costKey, view.onlyQuiet), latency: summarize(group, latencyKey, view.onlyQuiet),
  }));
  const drawn = points.filter((point) => Number.isFinite(point.cost.median) && point.latency.median > 0);
  const missing = points.filter((point) => !drawn.includes(point));
  const zero = drawn.some((point) => point.cost.median === 0);
  const draw = (width) => {
    const height = Math.max(320, Math.min(480, width * 0.62));
    const top = 26, bottom = height - 44, left = 56, right = width - 10;
    const lane = zero ? 66 : 0;
    const x = logScale(drawn.flatMap(({ cost: { least, most } }) => [least, most]), left + lane, right, width > 600 ? 8 : 4);
    const y = logScale(drawn.flatMap(({ latency: { least, most } }) => [least, most]), bottom, top);
    const picture = drawing(width, height, `${latency.long} over ${cost.long}`);
    const format = (unit) => (tick) => textOf(tick, unit);
    picture.append(...[leftAxis(y, left, right, format(latency.unit)), bottomAxis(x, top, bottom, format(cost.unit))]
      .flat(3).filter(Boolean));
    picture.append(words(left - 50, 12, `↑ ${latency.long}`, "axisTitle"),
      words(right, height - 6, `${cost.long} →`, "axisTitle", "end"));
    if (zero) {
      picture.append(box(left, top, lane - 12, bottom - top, "lane"), words(left + lane / 2 - 6, bottom + 16, "0", "tick", "middle"));
    }
    const marks = drawn.map(({ group, cost: { median }, latency: { median: other } }) => ({
      x: median > 0 ? x(median) : left + lane / 2 - 6, y: y(other), text: group.title,
    }));
    const labels = labelPlaces(marks, { left, right, top: top - 6, bottom }, 12);
    drawn.forEach((point, index) => {
      const { x: atX, y: atY } = marks[index];
      const layer = shape("g", { class: `point ${colour(point.group)}` });
      const label = labels[index];
      if (label.away) {
        const end = Math.min(Math.max(atX, label.x), label.x + label.width);
        layer.append(line(atX, atY, end, label.anchorY + (label.anchorY > atY ? -7 : 7), "leader"));
      }
      if (point.cost.count > 1 && point.cost.median > 0) layer.append(line(x(point.cost.least), atY, x(point.cost.most), atY, "whisker"));
      if (point.latency.count > 1) layer.append(line(atX, y(point.latency.least), atX, y(point.latency.most), "whisker"));
      layer.append(words(label.x, label.y, point.group.title, "pointText"),
        telling(mark(shapeOf(point.group), atX, atY, 6, { class: "dot" }),
          `${point.group.title}\n${latency.long}: ${spreadText(point.latency, latency.unit)}\n`
          + `${cost.long}: ${spreadText(point.cost, cost.unit)}`));
      picture.append(layer);
    });
    return picture;
  };
  const table = tableOf("Cost and latency", ["strategy", latency.long, cost.long], points.map((point) => [point.group.title,
    spreadText(point.latency, latency.unit), spreadText(point.cost, cost.unit)]));
  const note = missing.length === 0 ? null : element("p", { class: "note" },
    `Not in the picture, as one of the two does not apply to it: ${missing.map(({ group }) => group.title).join(", ")}.`);
  return [drawn.length > 0 ? canvas(draw) : element("p", { class: "note" }, "No run has both."), note, behind(table)];
}

const behind = (...tables) => element("details", { class: "behind" },
  element("summary", {}, "The figures behind this picture"), tables);

// --- scaling with rows

// `families` are series over their sizes: [{title, group (any of them), groups (one a size)}].
function scalingFigure(view, families) {
  const keys = ["firstAnswer", "completion", view.wait];
  const draw = (width) => {
    const columns = width >= 900 ? 3 : 1;
    const each = Math.floor((width - 22 * (columns - 1)) / columns);
    const grid = element("div", { class: "panels", style: `grid-template-columns: repeat(${columns}, 1fr)` });
    for (const key of keys) grid.append(scalingPanel(view, families, key, each));
    return grid;
  };
  const headings = ["strategy", "rows", ...keys.map((key) => kMetrics[key].title)];
  const rows = families.flatMap(({ groups, title }) => groups.map((group) => [title, whole(group.rows),
    ...keys.map((key) => figureText(group, key, view.onlyQuiet))]));
  return [canvas(draw), behind(tableOf("Scaling with rows", headings, rows))];
}

function scalingPanel(view, families, key, width) {
  const metric = kMetrics[key];
  const lines = families.map(({ title, group, groups }) => ({
    title, group, points: groups.map((one) => ({ rows: one.rows, summary: summarize(one, key, view.onlyQuiet) }))
      .filter(({ summary }) => summary.median > 0),
  })).filter(({ points }) => points.length > 0);
  const height = Math.max(290, families.length * 13 + 60);
  const picture = drawing(width, height, `${metric.long} over rows`);
  const frame = element("div", { class: "panel" }, element("h3", {}, metric.title), picture);
  if (lines.length === 0) return frame;
  const room = Math.min(width * 0.42, Math.max(...lines.map(({ title }) => widthOf(title, 11))) + 16);
  const left = 52, right = width - room, top = 8, bottom = height - 34;
  const values = lines.flatMap(({ points }) => points.flatMap(({ summary }) => [summary.least, summary.most]));
  const sizes = [...new Set(lines.flatMap(({ points }) => points.map(({ rows }) => rows)))].sort((a, b) => a - b);
  const y = logScale(values, bottom, top, 9);
  const spread = Math.log(sizes.at(-1) / sizes[0]) || 1;
  const x = Object.assign((rows) => left + 8 + Math.log(rows / sizes[0]) / spread * (right - left - 16), { ticks: sizes });
  picture.append(...[leftAxis(y, left, right, (tick) => timeText(tick)), bottomAxis(x, top, bottom, countText)].flat(3)
    .filter(Boolean), words(right, height - 2, "rows →", "axisTitle", "end"));
  const places = apart(lines.map(({ points }) => y(points.at(-1).summary.median)), 13, top + 2, bottom);
  lines.forEach(({ title, group, points }, index) => {
    const layer = shape("g", { class: `trend ${colour(group)}` });
    const place = ({ rows, summary }) => [near(x(rows)), near(y(summary.median))];
    const last = place(points.at(-1));
    layer.append(shape("path", { class: "trendLine", d: `M${points.map((point) => place(point).join(",")).join("L")}` }),
      shape("path", { class: "leader", d: `M${last[0] + 6},${last[1]}L${near(right + 2)},${near(places[index])}` }),
      words(right + 6, places[index] + 4, title, "pointText small"));
    for (const point of points) {
      const [atX, atY] = place(point);
      if (point.summary.count > 1) layer.append(line(atX, y(point.summary.least), atX, y(point.summary.most), "whisker"));
      layer.append(telling(mark(shapeOf(group), atX, atY, 4.2, { class: "dot" }),
        `${title}, ${whole(point.rows)} rows\n${metric.long}: ${spreadText(point.summary, "time")}`));
    }
    picture.append(layer);
  });
  return frame;
}

// --- sizes, bytes, processor: a line for each strategy

const kBars = ["fileHighest", "written", "read", "processor", "migrationProcessor", "memory", "amplification"];

function sizesFigure(view) {
  const draw = (width) => {
    const columns = width >= 1000 ? 3 : width >= 640 ? 2 : 1;
    const each = Math.floor((width - 26 * (columns - 1)) / columns);
    const grid = element("div", { class: "panels", style: `grid-template-columns: repeat(${columns}, 1fr)` });
    const isKnown = (key) => view.shown.some((group) => summarize(group, key, view.onlyQuiet).count > 0);
    for (const key of kBars.filter(isKnown)) grid.append(barsPanel(view, key, each, view.shown));
    if (view.killed.length > 0) grid.append(barsPanel(view, "lost", each, view.killed));
    return grid;
  };
  const keys = ["fileBefore", "fileHighest", "fileAfter", "written", "read", "processor", "migrationProcessor", "memory",
    "amplification"];
  const rows = view.shown.map((group) => [group.title,
    ...keys.map((key) => spreadText(summarize(group, key, view.onlyQuiet), kMetrics[key].unit))]);
  return [canvas(draw), legend([[line(13, 0, 13, 12, "before")], "file before"],
    [[box(1, 2, 24, 8, "bar faint")], "at its highest"], [[box(1, 2, 24, 8, "bar")], "after; in the others the median"],
    [[line(2, 6, 24, 6, "whisker")], "least to most of the repetitions"]),
  behind(tableOf("Sizes and costs", ["strategy", ...keys.map((key) => kMetrics[key].title)], rows))];
}

function barsPanel(view, key, width, groups) {
  const metric = kMetrics[key];
  const bars = groups.map((group) => ({ group, summary: summarize(group, key, view.onlyQuiet) }));
  const top = 4, each = 21;
  const height = top + bars.length * each + 4;
  const isFile = key === "fileHighest";
  const left = Math.min(width * 0.42, Math.max(...bars.map(({ group }) => widthOf(group.title, 12))) + 10);
  const right = width - Math.max(...bars.map(({ summary }) => widthOf(textOf(summary.median, metric.unit), 11))) - 14;
  const most = Math.max(...finite(bars.flatMap(({ group, summary }) =>
    [summary.most, isFile ? summarize(group, "fileBefore", view.onlyQuiet).median : 0])), 1e-12);
  const x = (value) => left + value / most * (right - left);
  const picture = drawing(width, height, metric.long, line(left, top, left, height - 4, "axis"));
  bars.forEach(({ group, summary }, index) => {
    const middle = top + (index + 0.5) * each;
    const layer = shape("g", { class: colour(group) });
    let text = `${group.title}\n${metric.long}: ${spreadText(summary, metric.unit)}`;
    layer.append(words(left - 8, middle + 4, group.title, "barText", "end"));
    if (Number.isFinite(summary.median)) {
      layer.append(box(left, middle - 6, Math.max(0.5, x(summary.median) - left), 12, isFile ? "bar faint" : "bar"));
      if (isFile) {
        const [before, after] = ["fileBefore", "fileAfter"].map((other) => summarize(group, other, view.onlyQuiet));
        layer.append(box(left, middle - 6, x(after.median) - left, 12, "bar"),
          line(x(before.median), middle - 9, x(before.median), middle + 9, "before"));
        text += `\nbefore: ${spreadText(before, "bytes")}\nafter: ${spreadText(after, "bytes")}`;
      }
      if (summary.count > 1) layer.append(line(x(summary.least), middle, x(summary.most), middle, "whisker"));
    }
    const shown = textOf(summary.median, metric.unit);
    const end = Number.isFinite(summary.median) ? Math.max(x(summary.most), left) : left;
    layer.append(words(end + 6, middle + 4, shown, "value"),
      telling(box(0, middle - each / 2, width, each, "sense"), text));
    picture.append(layer);
  });
  return element("div", { class: "panel" }, element("h3", {}, metric.title), picture);
}
