// What is compared, what was found, the table of all runs, and everything put in its place.

const kMain = ["sqlite/eager", "instar/eager", "instar/lazy", "instar/standard", "instar/background", "sqlite/batches",
  "sqlite/lazy", "lmdb/eager", "rocksdb/batches"];

const data = JSON.parse(document.getElementById("data").textContent);
const runs = data.runs.map((run, index) => runOf(run, data.derived.figures?.[index]));
const aims = (data.derived.aims ?? []).map((aim) => ({ title: "", strategy: "", measured: "", where: "", verdict: "", command: "",
  ...aim }));
const groups = groupsOf(runs);
const place = (id) => document.getElementById(id);

// --- what is chosen

const kConditions = ["change", "load", "rows", "storage"];
const kConditionTexts = { change: ["Change", changeText], load: ["Load", loadText], rows: ["Rows", whole],
  storage: ["Durability", storageText] };

const chosen = { only: "main", kinds: "both", onlyQuiet: true, reference: "sqlite/eager", cost: "amplification",
  latency: "writeWait", percentile: "p99", span: "start", everything: false };

const agrees = (group, condition) => kConditions.every((key) => group[key] === condition[key]);

// Conditions that runs have, those with the most series first, then the most rows.
function conditionsOf() {
  const found = new Map();
  for (const group of groups.filter(({ killed }) => !killed)) {
    const key = kConditions.map((name) => group[name]).join(" ");
    if (!found.has(key)) {
      found.set(key, { condition: Object.fromEntries(kConditions.map((name) => [name, group[name]])), count: 0 });
    }
    ++found.get(key).count;
  }
  return [...found.values()].sort((a, b) => b.count - a.count || b.condition.rows - a.condition.rows)
    .map(({ condition }) => condition);
}
const conditions = conditionsOf();
Object.assign(chosen, conditions[0]);

// Where nothing was run under the chosen conditions: those that keep `key` and most of the others.
function settle(key) {
  const kept = (condition) => kConditions.filter((name) => condition[name] === chosen[name]).length;
  const candidates = conditions.filter((condition) => condition[key] === chosen[key]);
  const best = candidates.reduce((a, b) => (kept(b) > kept(a) ? b : a), candidates[0]);
  Object.assign(chosen, best);
}

const order = (group, reference) => {
  if (group.series === reference) return -1;
  const main = kMain.indexOf(group.series);
  if (main >= 0) return main;
  const [systems, strategies] = [Object.keys(kSystems), Object.keys(kStrategies)];
  return 100 + 100 * systems.indexOf(group.system) + strategies.indexOf(group.strategy);
};

function viewOf() {
  const all = groups.filter((group) => agrees(group, chosen));
  const series = all.filter(({ killed }) => !killed);
  const reference = series.find((group) => group.series === chosen.reference)
    ?? series.find(({ strategy }) => strategy === "eager") ?? series[0];
  series.sort((a, b) => order(a, reference.series) - order(b, reference.series));
  const main = series.filter((group) => group === reference || kMain.includes(group.series));
  const few = main.length < 3 || main.length === series.length;
  return {
    series, reference, few, shown: few || chosen.only === "all" ? series : main, onlyQuiet: chosen.onlyQuiet,
    wait: series.some((group) => summarize(group, "writeWait", false).count > 0) ? "writeWait" : "readWait",
    killed: all.filter(({ killed }) => killed)
      .sort((a, b) => order(a, reference.series) - order(b, reference.series)), kinds: chosen.kinds === "both" ? ["writes", "reads"] : [chosen.kinds],
    percentile: chosen.percentile, span: chosen.span,
  };
}

// --- what was found

const strong = (text) => element("strong", {}, text);

// Whether the medians differ by a twentieth and the repetitions do not overlap.
const isBetter = (a, b) => a.median < b.median * 0.95 && a.most < b.least;

// Strategies that open without bringing all rows over first. That they answer sooner is what they are.
const kOpensFirst = ["standard", "lazy", "background", "write-back", "paced", "batches", "eager-later"];
// What is not decided by that, and so says something.
const kJudged = ["openWriteWait", "writeP99", "readP99", "amplification", "migrationProcessor"];

const titleInVerdict = (group) => (group.series === "instar/standard" ? "Instar's default" : group.title);

function finding(view) {
  const find = (name) => view.series.find((group) => group.series === name);
  const lazy = ["instar/standard", "instar/background", "instar/lazy", "instar/write-back"].map(find).find(Boolean);
  const eager = find("instar/eager") ?? (lazy && view.reference.strategy === "eager" ? view.reference : undefined);
  if (lazy === undefined || eager === undefined) return undefined;
  const of = (group, key) => summarize(group, key, view.onlyQuiet);
  const isBetterAt = (a, b) => (key) => isBetter(of(a, key), of(b, key));
  const first = [of(lazy, "firstAnswer"), of(eager, "firstAnswer")];
  const sooner = isBetter(first[0], first[1]), later = isBetter(first[1], first[0]);
  const gains = kJudged.filter(isBetterAt(lazy, eager)), losses = kJudged.filter(isBetterAt(eager, lazy));
  const doubt = doubtOf(view, [lazy, eager]);
  let verdict = "It depends";
  if (doubt !== "") verdict = "";
  else if (sooner && losses.length === 0) verdict = titleInVerdict(lazy);
  else if (!sooner && losses.length > 0 && gains.length === 0) verdict = titleInVerdict(eager);
  const time = (summary) => strong(timeText(summary.median));
  const subject = verdict === titleInVerdict(lazy) ? "It" : titleInVerdict(lazy);
  const sentence = sooner || later
    ? [`${subject} answers `, time(first[0]), ` after opening, ${titleInVerdict(eager)} after `, time(first[1]),
      sooner ? " \u2013 sooner by definition, as is every strategy that does not bring all rows over before." : "."]
    : [`${titleInVerdict(lazy)} and ${titleInVerdict(eager)} answer equally soon, `, time(first[0]), " and ", time(first[1]),
      " after opening."];
  return { verdict, doubt, sentence, second: [...(doubt === "" ? apartFromOpening(view, lazy, eager, gains, losses) : []), ...beside(view, lazy)] };
}

// Why two are not judged, or nothing.
function doubtOf(view, pair) {
  if (pair.some(isAllDisturbed)) return "No verdict, as there is no undisturbed run of each.";
  if (pair.some((group) => countedRuns(group, view.onlyQuiet).length < 2)) return "No verdict from one repetition.";
  if (machinesOf(pair).length > 1) return "No verdict over several builds or machines.";
  return "";
}

// What each is better at that is not decided by when the rows come over.
function apartFromOpening(view, lazy, eager, gains, losses) {
  const part = (winner, loser, keys) => {
    const texts = keys.map((key) => {
      const { long, unit } = kMetrics[key];
      const values = [winner, loser].map((group) => textOf(summarize(group, key, view.onlyQuiet).median, unit));
      return `${long} (${values[0]} against ${values[1]})`;
    });
    return texts.length === 0 ? [] : [`Apart from that, ${titleInVerdict(winner)} is better at: ${texts.join(", ")}. `];
  };
  const parts = [...part(lazy, eager, gains), ...part(eager, lazy, losses)];
  const done = [lazy, eager].map((group) => summarize(group, "completion", view.onlyQuiet).median);
  const unknown = kJudged.filter((key) => [lazy, eager].some((group) => summarize(group, key, view.onlyQuiet).count === 0));
  if (unknown.length > 0) parts.push(`Not known of both, and not judged: ${unknown.map((key) => kMetrics[key].long).join("; ")}. `);
  if (done.every(Number.isFinite)) parts.push(`All rows are over after ${timeText(done[0])} and ${timeText(done[1])}. `);
  if (gains.length + losses.length > 0) return parts;
  return ["Apart from that, the repetitions tell them apart in nothing that is measured here. ", ...parts];
}

// The system of reference, by what it does before it answers and by what it can do beside the load.
function beside(view, lazy) {
  return [view.reference, ...view.series.filter(({ series }) => series === "sqlite/batches")]
    .filter((group, index, all) => group.system !== lazy.system && all.indexOf(group) === index).flatMap((group) => {
      const of = (key) => summarize(group, key, view.onlyQuiet).median;
      const wait = of(view.wait);
      return ["Beside it, ", strong(group.title), `: first answer after ${timeText(of("firstAnswer"))}`,
        Number.isFinite(wait) ? `, longest wait of a ${view.wait === "writeWait" ? "write" : "read"} ${timeText(wait)}` : "", ". "];
    });
}

function alarmOf(view) {
  const disturbed = view.series.filter(isAllDisturbed).length;
  const texts = [];
  if (disturbed === view.series.length) {
    texts.push("Every run under these conditions was disturbed by others on the machine: the figures are no evidence.");
  } else if (disturbed > 0) {
    texts.push(`${disturbed} of ${view.series.length} strategies have only runs that others on the machine disturbed (\u26a0).`);
  }
  const machines = machinesOf(view.series).length;
  if (machines > 1) texts.push(`These runs come from ${machines} builds or machines: what differs may be these.`);
  return texts.join(" ");
}

function showFinding(view) {
  const found = finding(view);
  const [group] = view.series;
  place("alarm").replaceChildren(alarmOf(view));
  place("scope").replaceChildren(`${whole(group.rows)} rows · ${changeText(group.change)} · ${loadText(group.load)} · `
    + `durability ${storageText(group.storage)}`);
  if (found === undefined) {
    place("finding").replaceChildren("These runs hold no lazy strategy beside an eager one under the same conditions.");
    place("second").replaceChildren();
    return;
  }
  place("finding").replaceChildren(...(found.verdict === "" ? [] : [element("em", {}, `${found.verdict}. `)]), ...found.sentence);
  place("second").replaceChildren(...(found.doubt === "" ? [] : [strong(found.doubt), " "]), ...found.second);
}

// A line for each aim, a column for each strategy.
function showAims() {
  const kClasses = { met: "met", missed: "missed" };
  const strategies = [...new Set(aims.map(({ strategy }) => strategy))];
  const titles = [...new Set(aims.map(({ title }) => title))];
  const cell = (aim) => (aim === undefined ? null : [element("span", { class: kClasses[aim.verdict] ?? "open" }, aim.verdict),
    aim.measured === "" ? null : element("span", { class: "measured" }, aim.measured),
    aim.where === "" ? null : element("span", { class: "spread" }, aim.where),
    element("details", {}, element("summary", {}, "command"), element("div", { class: "command" }, commandOf(aim.command)))]);
  section("aims", "What Instar is meant to reach", "The worst of the conditions that were measured, with a warm file and no kill. "
    + "Decided by two undisturbed repetitions or more that all lie on one side of the limit.",
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "aims" }, element("table", { class: "aims" },
      element("thead", {}, element("tr", {}, ["Aim", ...strategies.map((strategy) => `Instar ${strategyTitle(strategy)}`)]
        .map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, titles.map((title) => element("tr", {}, element("th", { scope: "row" }, title),
        strategies.map((strategy) => element("td", {},
          cell(aims.find((aim) => aim.title === title && aim.strategy === strategy))))))))));
}

// --- controls

function selection(label, key, options, title) {
  const select = element("select", { name: key }, options.map(([value, text]) => {
    const option = element("option", { value }, text);
    option.selected = String(chosen[key]) === String(value);
    return option;
  }));
  select.addEventListener("change", () => {
    chosen[key] = options.find(([value]) => String(value) === select.value)[0];
    if (kConditions.includes(key)) settle(key);
    update(key);
  });
  return element("label", { title }, element("span", {}, label), select);
}

function tick(label, key) {
  const input = element("input", { type: "checkbox", name: key });
  input.checked = chosen[key];
  input.addEventListener("change", () => {
    chosen[key] = input.checked;
    update(key);
  });
  return element("label", { class: "tick" }, input, element("span", {}, label));
}

function showFilters(view) {
  const options = (key) => [...new Set(conditions.map((condition) => condition[key]))]
    .sort((a, b) => (typeof a === "number" ? a - b : String(a).localeCompare(b)))
    .map((value) => [value, kConditionTexts[key][1](value)]);
  place("filters").replaceChildren(
    ...kConditions.map((key) => selection(kConditionTexts[key][0], key, options(key))),
    selection("Reference", "reference", view.series.map((group) => [group.series, group.title])),
    ...(view.few ? [] : [selection("Strategies", "only", [["main", `the main ones (${kMain.length} at most)`],
      ["all", `all ${view.series.length}`]])]),
    ...(runs.some((run) => run.disturbed) ? [tick("leave disturbed runs out", "onlyQuiet")] : []));
}

// --- sections

function section(id, heading, note, ...content) {
  place(id).replaceChildren(...[element("h2", { id: `${id}-heading` }, heading),
    note === "" ? null : element("p", { class: "note" }, note), ...content.flat(Infinity)].filter(Boolean));
}

function showLatency(view) {
  const table = tableOf("Latency, whole load", ["strategy", ...kLatencyColumns.map((key) => kMetrics[key].title)],
    view.shown.map((group) => [group.title,
      ...kLatencyColumns.map((key) => figureText(group, key, view.onlyQuiet))]));
  section("latency", "Latency while the rows come over", "", element("div", { class: "controls" },
    selection("Operations", "kinds", [["both", "writes and reads"], ["writes", "writes"], ["reads", "reads"]]),
    selection("Percentile", "percentile", Object.keys(kPercentiles).map((which) => [which, percentileTitle(which)]),
      "Of each second. A lower one is drawn where there are too few operations in a second."),
    ...spanSelection(view)),
  latencyFigure(view), element("p", { class: "note" }, "Each second from opening the file, scales alike in all panels. "
    + "Medians of the repetitions; the bands hold all of them."), behind(table));
}
// Where a few strategies take much longer than the others.
function spanSelection(view) {
  const { start, whole: end } = spansOf(view);
  return start < end ? [selection("Time", "span", [["start", `the first ${timeText(start)}`], ["whole", `all ${timeText(end)}`]])]
    : [];
}
const kLatencyColumns = ["firstAnswer", "completion", "writeWait", "writeP50", "writeP95", "writeP99", "writeP999",
  "readWait", "readP50", "readP95", "readP99", "readP999", "throughput", "throughputShare"];

function showCost(view) {
  if (view.wait === "readWait" && chosen.latency.startsWith("write")) chosen.latency = "readWait";
  const isKnown = (key) => view.series.some((group) => summarize(group, key, false).median > 0);
  const costs = ["amplification", "processorPerMillion", "written", "completion", "fileHighest"].filter(isKnown);
  if (!costs.includes(chosen.cost)) [chosen.cost] = costs;
  const axis = (keys) => keys.map((key) => [key, kMetrics[key].long]);
  section("cost", "What it costs, and what it costs those who wait",
    "Down and left is better. Whiskers hold all repetitions. A write that cannot be made before the file is open waits for "
    + "that, so the opening counts.",
    element("div", { class: "controls" },
      selection("Across", "cost", axis(costs)),
      selection("Up", "latency", axis(["writeWait", "openWriteWait", "writeP99", "writeP999", "readWait", "readP99", "readP999",
        "firstAnswer"]))),
    chosen.cost === undefined ? null : costFigure(view, chosen.cost, chosen.latency));
}

function showScaling(view) {
  const same = groups.filter((group) => !group.killed && kConditions.every((key) => key === "rows" || group[key] === chosen[key]));
  const families = view.shown.map((group) => ({ title: group.title, group,
    groups: same.filter(({ series }) => series === group.series).sort((a, b) => a.rows - b.rows) }));
  const several = families.filter(({ groups: sizes }) => sizes.length > 1);
  place("scaling").hidden = several.length === 0;
  if (several.length > 0) {
    section("scaling", "With more rows", "The same change and load over other numbers of rows; both scales are logarithmic.",
      scalingFigure(view, several));
  }
}

function showSizes(view) {
  section("sizes", "Bytes, processor, memory", "Of the whole process: load, migration, and what was put off until behind them. "
    + "Memory is the process's own, without the page cache and without files that are mapped.",
    sizesFigure(view));
}

// --- all runs

const kColumns = ["firstAnswer", "completion", "writeWait", "writeP99", "readP99", "throughputShare", "amplification", "written",
  "migrationProcessor", "fileHighest"];

let sorting = { key: "", down: false };

function showRuns(view) {
  const listed = (chosen.everything ? groups : groups.filter((group) => agrees(group, chosen))).slice();
  const rankOf = (group) => order(group, view.reference.series);
  listed.sort((a, b) => rankOf(a) - rankOf(b) || a.name.localeCompare(b.name));
  if (sorting.key !== "") {
    const value = (group) => summarize(group, sorting.key, view.onlyQuiet).median;
    const rank = (group) => (Number.isNaN(value(group)) ? Infinity : value(group) * (sorting.down ? -1 : 1));
    listed.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
  }
  section("runs", "All runs", `Medians, [least – most] of the repetitions, and how many times those of ${view.reference.title} `
    + "under the same conditions.",
    element("div", { class: "controls" }, tick(`all ${groups.length} scenarios, whatever was chosen above`, "everything"),
      download("medians.csv", mediansCsv), download("seconds.csv", secondsCsv)),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "all runs" },
      element("table", { class: "all" },
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Strategy"),
          element("th", { scope: "col" }, "Conditions"), kColumns.map(sortable), element("th", { scope: "col" }, "Command"))),
        element("tbody", {}, listed.map((group) => rowOf(group, view))))));
}

function sortable(key) {
  const direction = sorting.key !== key ? "none" : sorting.down ? "descending" : "ascending";
  const button = element("button", { type: "button" }, kMetrics[key].title);
  button.addEventListener("click", () => {
    sorting = { key, down: sorting.key === key && !sorting.down };
    showRuns(viewOf());
    document.querySelector(`#runs button[data-key="${key}"]`)?.focus();
  });
  button.setAttribute("data-key", key);
  return element("th", { scope: "col", "aria-sort": direction }, button);
}

function rowOf(group, view) {
  const reference = groups.find((other) => other.series === view.reference.series && !other.killed && agrees(other, group));
  const disturbed = group.runs.filter((run) => run.disturbed);
  const cells = kColumns.map((key) => {
    const own = summarize(group, key, view.onlyQuiet);
    const other = reference && reference !== group && !group.killed && kMetrics[key].unit !== "share" ? summarize(reference, key, view.onlyQuiet).median : NaN;
    const factor = own.median / other;
    return element("td", {}, element("span", { class: "median" }, figureText(group, key, view.onlyQuiet, medianText)),
      own.count > 1 ? element("span", { class: "spread" },
        `[${textOf(own.least, kMetrics[key].unit)} – ${textOf(own.most, kMetrics[key].unit)}]`) : null,
      Number.isFinite(factor) && factor > 0 ? element("span", { class: "factor" }, shareText(factor)) : null);
  });
  const [run] = group.runs;
  return element("tr", { class: group === reference ? "reference" : undefined },
    element("th", { scope: "row" }, keyOf(group), group.killed ? element("span", { class: "spread" },
      `killed halfway; ${spreadText(summarize(group, "lost", view.onlyQuiet), "time")} to do again`) : null,
    machinesOf([group]).length > 1 ? element("span", { class: "disturbed" },
      `⚠ of ${machinesOf([group]).length} builds or machines`) : null,
    disturbed.length === 0 ? null : element("details", { class: "disturbed" },
      element("summary", {}, `⚠ ${disturbed.length} of ${group.runs.length} disturbed`
        + (view.onlyQuiet && disturbed.length < group.runs.length ? ", left out" : "")),
      disturbed.map((run) => element("span", {}, `${run.repetition}: ${run.reason || "others were busy"}`)))),
    element("td", { class: "conditions" }, `${whole(group.rows)} rows, ${group.change}`, element("span", { class: "spread" },
      `${run.mix.toUpperCase()}, ${run.access}, ${storageText(group.storage)}, ${group.runs.length} ×`)),
    cells, element("td", { class: "command" }, commandOf(commandFor(group, reference))));
}

// What gives the figures of a group again, and those of the reference that they are compared with.
function commandFor(group, reference) {
  const many = `--repetitions ${Math.max(2, group.runs.length)}`;
  const [{ command }] = group.runs;
  if (reference === undefined || reference === group || group.killed) return `${command} ${many}`;
  return group.change === "own" ? `${command} ${many} && ${reference.runs[0].command} ${many}`
    : `${command} ${reference.name} ${many}`;
}

function commandOf(command) {
  const button = element("button", { type: "button", "aria-label": `copy: ${command}` }, "copy");
  button.addEventListener("click", () => navigator.clipboard?.writeText(command).then(() => { button.textContent = "copied"; },
    () => { button.textContent = "select it"; }));
  return [element("code", {}, command), button];
}

// --- CSV

const csvCell = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
const csvOf = (rows) => rows.map((row) => row.map(csvCell).join(",")).join("\n") + "\n";

// Times in seconds, sizes in bytes.
function mediansCsv() {
  const keys = Object.keys(kMetrics);
  const header = ["name", "system", "strategy", "change", "mix", "access", "rows", "durability", "repetitions", "disturbed",
    ...keys.flatMap((key) => [key, `${key}Least`, `${key}Most`]), "command"];
  return csvOf([header, ...groups.map((group) => {
    const [run] = group.runs;
    const figures = keys.flatMap((key) => {
      const { median, least, most } = summarize(group, key, chosen.onlyQuiet);
      return [median, least, most].map((value) => (Number.isFinite(value) ? value : ""));
    });
    return [group.name, run.system, run.strategy, run.change, run.mix, run.access, run.rows, run.durability,
      group.runs.length, group.runs.filter(({ disturbed }) => disturbed).length, ...figures, run.command];
  })]);
}

// Nothing of a percentile of too few.
function knownOf(latency, part) {
  const value = Object.hasOwn(kPercentiles, part) ? ifCounted(latency, part) : latency[part];
  return Number.isFinite(value) ? value : "";
}

function secondsCsv() {
  const kinds = ["reads", "writes"];
  const parts = ["count", "p50", "p95", "p99", "p999", "longest"];
  const header = ["name", "repetition", "from", ...kinds.flatMap((kind) => parts.map((part) => `${kind}_${part}`)),
    "migrated", "written"];
  return csvOf([header, ...runs.flatMap((run) => run.seconds.map((second) => [run.name, run.repetition, second.from,
    ...kinds.flatMap((kind) => parts.map((part) => knownOf(second[kind], part))), second.migrated, second.written]))]);
}

// Made when it is asked for.
function download(name, make) {
  const link = element("a", { href: "#", download: name, class: "download" }, name);
  link.addEventListener("click", () => { link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(make())}`; });
  return link;
}

// --- machine, method, words

function showAbout() {
  const machines = machinesOf(groups);
  const times = runs.map((run) => run.at).filter((at) => at !== "").sort();
  const list = (entries) => element("dl", {}, entries.map(([term, text]) =>
    [element("dt", {}, term), element("dd", {}, text)]));
  section("about", "Machine, method, words", "",
    element("div", { class: "columns" },
      element("div", {}, element("h3", {}, machines.length > 1 ? `${machines.length} machines or builds` : "Machine"),
        machines.map((machine) => list([["Processor", `${machine.processor || "not known"}, ${machine.processors} of them`],
          ["Memory", bytesText(machine.memory)], ["System", machine.system], ["File system", machine.fileSystem],
          ["Build", machine.build]])),
        times.length > 0 ? element("p", {}, `${runs.length} runs from ${times[0]} to ${times.at(-1)}.`) : null,
        element("h3", {}, "Method"),
        element("p", {}, "An old release of a program fills a file, and a new release, in a process of its own, opens a copy of "
          + "it, answers, and brings the rows over by one strategy while one thread reads and one writes. Every system has the "
          + "same rows, in each repetition the same operations, and the same durability; all rows are compared with a model "
          + "afterwards. The "
          + "systems take turns within each repetition, so that what disturbs one disturbs the others. Medians stand with the "
          + "least and the most of the repetitions, and a run during which others took more of the machine than a fair "
          + "comparison bears is marked.")),
      element("div", {}, element("h3", {}, "Words"),
        list([...new Set(runs.map((run) => run.strategy))].filter((strategy) => Object.hasOwn(kStrategies, strategy))
          .sort((a, b) => Object.keys(kStrategies).indexOf(a) - Object.keys(kStrategies).indexOf(b))
          .map((strategy) => kStrategies[strategy]).concat([
            ["longest wait", "The longest that one operation took, or the opening, where that took longer."],
            ["written per byte migrated", "Bytes that the process handed to the kernel, without those that the same load alone "
              + "writes, for each byte of the rows that were rewritten. 0 where none is."],
            ["once open", "Without what opening took."],
            ["percentiles", "Only of operations enough for one to lie beyond: p95 of 20, p99 of 100, p99.9 of 1,000."],
            ["throughput", "Of a closed loop, whose operations begin as soon as the one before has ended: operations a second "
              + "from opening until the migration was complete, a second at least, or to the end of the load where it was not. "
              + "Against what the load does alone in as long."],
            ["disturbed", "Others took more of the processors, or syncs were slower, than a fair comparison bears."]])))));
}

// --- start

function update(key) {
  const view = viewOf();
  showFinding(view);
  if (key === undefined || kConditions.includes(key)) showFilters(view);
  showLatency(view);
  showCost(view);
  showScaling(view);
  showSizes(view);
  showRuns(view);
  if (key !== undefined) document.querySelector(`[name="${key}"]`)?.focus({ preventScroll: true });
}

document.body.append(tooltip);
window.addEventListener("scroll", followTip, { passive: true });
window.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
window.addEventListener("beforeprint", () => document.querySelectorAll("#main section:not(#runs) details")
  .forEach((details) => { details.open = true; }));
place("filters").addEventListener("submit", (event) => event.preventDefault());
if (conditions.length > 0) {
  place("main").hidden = false;
  update();
  showAims();
  showAbout();
} else {
  place("finding").replaceChildren("There are no runs yet.");
}
