// What the runs say: reading them, medians with their spread, metrics, and numbers as text. Draws nothing.

const kSystems = {
  instar: { title: "Instar", shape: "circle" },
  sqlite: { title: "SQLite", shape: "square" },
  lmdb: { title: "LMDB", shape: "triangle" },
  rocksdb: { title: "RocksDB", shape: "diamond" },
};

const kStrategies = {
  none: ["no migration", "The rows are in the new form already: what the load takes without any migration."],
  eager: ["eager", "Every row in one transaction, before the first answer (SQLite: ALTER TABLE and UPDATE)."],
  "eager-later": ["eager, later", "The same transaction beside the load, after the first answer."],
  rebuild: ["rebuild", "SQLite: a new table is filled and takes the old one's name, before the first answer."],
  batches: ["in batches", "One transaction behind another beside the load: 1,000 rows, and then 10 ms for others; Instar's "
    + "migrate(), by time under the lock."],
  lazy: ["lazy", "A row is upgraded when it is read, and nothing is stored by that. In SQLite, LMDB and RocksDB: "
    + "the pattern that people write by hand."],
  "write-back": ["write-back", "A row is upgraded when it is read, and the new form is stored by who has read it; in Instar "
    + "it is remembered, and a thread stores it a moment later."],
  background: ["background", "On reading, and a thread rewrites the rest beside the load without limit."],
  paced: ["paced", "The same, at a rate in bytes a second."],
  standard: ["default", "Instar's thread beside the load, with nothing set but that it runs."],
};

const kChanges = {
  additive: "additive: a field with a default",
  derived: "derived: a text split into a new field",
  replaced: "replaced: another record type",
  history: "history: ten versions, four derive",
  own: "own: a file under its next schema",
};

const kMixes = {
  a: "A: half reads, half updates",
  b: "B: 95 % reads, 5 % updates",
  c: "C: reads only",
  d: "D: 95 % reads, 5 % inserts, the latest most",
  e: "E: 95 % short scans, 5 % inserts",
  f: "F: half reads, half read-modify-write",
};

const nameOf = (texts, key) => (Object.hasOwn(texts, key) ? texts[key] : key);
const systemTitle = (system) => (Object.hasOwn(kSystems, system) ? kSystems[system].title : system);
const strategyTitle = (strategy) =>
  (Object.hasOwn(kStrategies, strategy) ? kStrategies[strategy][0] : strategy);

// --- reading

// capnp-json writes 64-bit integers, and floats that are not finite, as strings; what is absent is 0.
function number(value) {
  if (typeof value === "string") {
    if (/^[+-]?inf/i.test(value)) return value[0] === "-" ? -Infinity : Infinity;
    return value.trim() === "" ? NaN : Number(value);
  }
  return typeof value === "number" ? value : 0;
}

const kMicro = 1e-6;

function latencyOf(raw = {}) {
  const seconds = (value) => number(value) * kMicro;
  return {
    count: number(raw.count), p50: seconds(raw.p50), p95: seconds(raw.p95), p99: seconds(raw.p99),
    p999: seconds(raw.p999), longest: seconds(raw.longest),
  };
}

// Times in seconds, sizes in bytes. `figures` are what follows from the run, computed where it was measured.
function runOf(raw, figures = {}) {
  const run = { figures: {} };
  for (const key of ["writeWait", "readWait", "openWriteWait", "amplification", "migrationProcessor", "throughput",
    "throughputShare", "bytesRead"]) run.figures[key] = figures[key] === undefined ? NaN : number(figures[key]);
  run.isUnfinished = figures.isUnfinished === true;
  run.series = String(figures.series ?? "");
  run.machineText = String(figures.machine ?? "");
  for (const key of ["name", "system", "strategy", "change", "mix", "access", "durability", "command", "at",
    "digest"]) run[key] = String(raw[key] ?? "");
  for (const key of ["rows", "rate", "perSecond", "repetition", "openToFirstAnswer", "completeAfter", "duration",
    "changeAt", "rowsMigrated", "rowsLeft", "bytesMigrated", "bytesWritten", "bytesWrittenByLoad",
    "processorSeconds", "fileBefore", "fileHighest", "fileAfter", "memoryHighest"]) run[key] = number(raw[key]);
  run.lostByKill = raw.lostByKill === undefined ? -1 : number(raw.lostByKill);
  run.reads = latencyOf(raw.reads);
  run.writes = latencyOf(raw.writes);
  run.seconds = (raw.seconds ?? []).map((second) => ({
    from: number(second.from), reads: latencyOf(second.reads), writes: latencyOf(second.writes),
    migrated: number(second.migrated), written: number(second.written),
  }));
  const disturbance = raw.disturbance ?? {};
  run.disturbed = disturbance.disturbed === true;
  run.reason = String(disturbance.reason ?? "");
  run.disturbance = {};
  for (const key of ["stolen", "others", "syncBefore", "syncAfter"]) run.disturbance[key] = number(disturbance[key]);
  const machine = raw.machine ?? {};
  run.machine = { processors: number(machine.processors), memory: number(machine.memory) };
  for (const key of ["processor", "system", "fileSystem", "build"]) run.machine[key] = String(machine[key] ?? "");
  return run;
}

// What a name says beyond system/strategy/change/mix/access/rows: what differs from the default.
const optionsOf = (run) => run.name.split("/").slice(6).filter((part) => part !== "");

// An option of a strategy as a word of its title.
function ownText(option) {
  const [key, value] = option.split("=");
  if (key === "rate") return `${bytesText(number(value))}/s`;
  if (key === "lock") return `${timeText(number(value) * kMicro)} under the lock`;
  return key === "longest" ? `${timeText(number(value))} at most` : option;
}

// The repetitions of one scenario. `series` names what competes: system, strategy and its own options;
// `change`, `load`, `rows` and `storage` are the conditions, equal for those that are compared.
function groupOf(run) {
  const options = optionsOf(run);
  const own = run.series.split("/").slice(2);
  const seconds = options.find((part) => part.startsWith("seconds="));
  const { name, system, strategy, change, rows, durability } = run;
  return {
    name, system, strategy, change, rows, options, runs: [], summaries: new Map(),
    load: [run.mix, run.access, run.perSecond, seconds?.slice(8) ?? ""].join("/"),
    storage: options.includes("cold") ? `${durability}/cold` : durability,
    series: run.series,
    title: [`${systemTitle(system)} ${strategyTitle(strategy)}`, ...own.map(ownText)].join(" · "),
    killed: options.includes("kill") || run.lostByKill !== -1,
  };
}

function groupsOf(runs) {
  const groups = new Map();
  for (const run of runs) {
    if (!groups.has(run.name)) groups.set(run.name, groupOf(run));
    groups.get(run.name).runs.push(run);
  }
  for (const group of groups.values()) group.runs.sort((a, b) => a.repetition - b.repetition);
  return [...groups.values()];
}

function changeText(change) { return nameOf(kChanges, change); }
function loadText(load) {
  const [mix, access, perSecond, seconds] = load.split("/");
  const rest = [access === "" ? "" : access, Number(perSecond) > 0 ? `${whole(Number(perSecond))} a second` : "",
    seconds === "" ? "" : `${seconds} s`];
  return [nameOf(kMixes, mix), ...rest.filter((text) => text !== "")].join(", ");
}
function storageText(storage) {
  const [durability, cold] = storage.split("/");
  return cold === undefined ? durability : `${durability}, file not in memory`;
}

// --- statistics

function summaryOf(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  const count = sorted.length;
  if (count === 0) return { median: NaN, least: NaN, most: NaN, count };
  const half = count >> 1;
  const median = count % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return { median, least: sorted[0], most: sorted[count - 1], count };
}

// What each is called, and of how many operations at least it is known (figures.h has the same): one is to lie beyond it.
const kPercentiles = { p50: ["median", 1], p95: ["p95", 20], p99: ["p99", 100], p999: ["p99.9", 1000] };
const percentileTitle = (which) => kPercentiles[which][0];
const ifCounted = (latency, which) => (latency.count >= kPercentiles[which][1] ? latency[which] : NaN);

function latencyMetrics() {
  const kinds = { write: "Writes", read: "Reads" };
  return Object.fromEntries(Object.entries(kinds).flatMap(([kind, title]) => Object.keys(kPercentiles).map((which) =>
    [kind + which.toUpperCase(), { title: `${title} ${percentileTitle(which)}`, unit: "time",
      long: `${percentileTitle(which)} of ${title.toLowerCase()}`, of: (run) => ifCounted(run[`${kind}s`], which) }])));
}

const kMetrics = {
  firstAnswer: { title: "First answer", long: "time to first answer", unit: "time", of: (run) => run.openToFirstAnswer },
  completion: { title: "Complete", long: "time to completion", unit: "time",
    of: (run) => (run.completeAfter > 0 ? run.completeAfter : NaN) },
  writeWait: { title: "Longest wait of a write", long: "longest wait of a write, opening counted", unit: "time",
    of: (run) => run.figures.writeWait },
  openWriteWait: { title: "Longest write once open", long: "longest write once the file is open", unit: "time",
    of: (run) => run.figures.openWriteWait },
  readWait: { title: "Longest wait of a read", long: "longest wait of a read, opening counted", unit: "time",
    of: (run) => run.figures.readWait },
  ...latencyMetrics(),
  throughput: { title: "Operations a second", long: "operations a second until complete, closed loop", unit: "count",
    of: (run) => run.figures.throughput },
  throughputShare: { title: "Throughput", long: "operations a second until complete, against no migration", unit: "share",
    of: (run) => run.figures.throughputShare },
  amplification: { title: "Written per byte migrated", long: "bytes written per byte migrated", unit: "factor",
    of: (run) => run.figures.amplification },
  written: { title: "Bytes written", long: "bytes written, the load's too", unit: "bytes", of: (run) => run.bytesWritten },
  read: { title: "Bytes read from disk", long: "bytes read from the disk", unit: "bytes", of: (run) => run.figures.bytesRead },
  processor: { title: "Processor time", long: "processor time, the load's too", unit: "time",
    of: (run) => run.processorSeconds },
  migrationProcessor: { title: "Processor time of the migration", long: "processor time of the migration", unit: "time",
    of: (run) => run.figures.migrationProcessor },
  processorPerMillion: { title: "Processor time a million rows", long: "processor time of the migration per million rows",
    unit: "time", of: (run) => run.figures.migrationProcessor / run.rows * 1e6 },
  fileBefore: { title: "File before", long: "file before", unit: "bytes", of: (run) => run.fileBefore },
  fileHighest: { title: "File at its highest", long: "file at its highest", unit: "bytes", of: (run) => run.fileHighest },
  fileAfter: { title: "File after", long: "file after", unit: "bytes", of: (run) => run.fileAfter },
  memory: { title: "Memory of its own", long: "memory of its own at its highest, without the page cache", unit: "bytes",
    of: (run) => run.memoryHighest },
  lost: { title: "Lost by a kill", long: "time of work that a kill has cost", unit: "time",
    of: (run) => (run.lostByKill !== -1 ? run.lostByKill : NaN) },
};

// Median and spread over the repetitions, without the disturbed ones where that was asked for and any are left.
function summarize(group, key, onlyQuiet) {
  const cached = `${key} ${onlyQuiet}`;
  if (!group.summaries.has(cached)) {
    const values = countedRuns(group, onlyQuiet).map(kMetrics[key].of);
    group.summaries.set(cached, summaryOf(values));
  }
  return group.summaries.get(cached);
}

function countedRuns(group, onlyQuiet) {
  const quiet = group.runs.filter((run) => !run.disturbed);
  return onlyQuiet && quiet.length > 0 ? quiet : group.runs;
}

const isAllDisturbed = (group) => group.runs.every((run) => run.disturbed);
const machinesOf = (several) => [...new Map(several.flatMap((group) => group.runs)
  .map((run) => [run.machineText, run.machine])).values()];

// The highest percentile up to `wanted` of which most seconds of these have operations enough.
function percentileOf(several, kind, onlyQuiet, wanted) {
  const counts = several.flatMap((group) => countedRuns(group, onlyQuiet))
    .flatMap(({ seconds }) => seconds.map((second) => second[kind].count)).filter((count) => count > 0);
  const known = Object.keys(kPercentiles).filter((which) =>
    counts.filter((count) => count >= kPercentiles[which][1]).length * 2 > counts.length);
  const all = Object.keys(kPercentiles);
  return known.filter((which) => all.indexOf(which) <= all.indexOf(wanted)).at(-1) ?? "p50";
}

// The latencies of `kind` ("reads", "writes") second by second, at a percentile and the longest: medians over the
// repetitions, with the spread.
function secondsOf(group, kind, onlyQuiet, which) {
  const runs = countedRuns(group, onlyQuiet);
  const most = Math.max(0, ...runs.map((run) => run.seconds.length));
  const points = [];
  for (let index = 0; index < most; ++index) {
    const present = runs.filter((run) => index < run.seconds.length);
    const busy = present.filter((run) => run.seconds[index][kind].count > 0);
    const end = ({ seconds, duration }) => seconds[index + 1]?.from
      ?? Math.max(seconds[index].from, Math.min(seconds[index].from + 1, duration));
    points.push({
      from: summaryOf(present.map((run) => Math.max(run.seconds[index].from, run.openToFirstAnswer || 0))).median,
      to: summaryOf(present.map(end)).median,
      level: summaryOf(busy.map((run) => ifCounted(run.seconds[index][kind], which))),
      longest: summaryOf(busy.map((run) => run.seconds[index][kind].longest)),
      migrated: summaryOf(present.map((run) => run.seconds[index].migrated)).median,
      count: present.length, of: runs.length, isFew: present.length * 2 < runs.length,
    });
  }
  // What is left at the end can be a handful of operations, of which there is no percentile.
  const kSliver = 0.05;
  return points.filter(({ from, to }, index) => to - from >= kSliver || index === 0);
}

// --- numbers as text

const kDigits = new Map();

function digits(value, significant = 3) {
  if (!kDigits.has(significant)) {
    kDigits.set(significant, new Intl.NumberFormat("en", { maximumSignificantDigits: significant }));
  }
  return kDigits.get(significant).format(value);
}

const whole = (value) => new Intl.NumberFormat("en", { maximumFractionDigits: 0 }).format(value);

function timeText(seconds, significant = 3) {
  if (seconds === 0) return "0";
  const size = Math.abs(seconds);
  if (size >= 119.5) return `${digits(seconds / 60, significant)} min`;
  if (size >= 0.9995) return `${digits(seconds, significant)} s`;
  if (size >= 0.9995e-3) return `${digits(seconds * 1e3, significant)} ms`;
  if (size >= 0.9995e-6) return `${digits(seconds * 1e6, significant)} µs`;
  return `${digits(seconds * 1e9, significant)} ns`;
}

function bytesText(bytes, significant = 3) {
  let value = bytes;
  let unit = "B";
  for (const next of ["KiB", "MiB", "GiB", "TiB"]) {
    if (Math.abs(value) < 1023.5) break;
    value /= 1024;
    unit = next;
  }
  return `${digits(value, significant)} ${unit}`;
}

function countText(value) {
  if (value >= 1e6) return `${digits(value / 1e6)} M`;
  return value >= 1e4 ? `${digits(value / 1e3)} k` : digits(value);
}

function textOf(value, unit, significant = 3) {
  if (!Number.isFinite(value)) return "–";
  if (unit === "time") return timeText(value, significant);
  if (unit === "bytes") return bytesText(value, significant);
  if (unit === "count") return countText(value);
  if (unit === "share") return `${digits(value * 100)} %`;
  return digits(value, significant);
}

function spreadText(summary, unit) {
  if (!Number.isFinite(summary.median)) return "–";
  if (summary.count < 2) return textOf(summary.median, unit);
  return `${textOf(summary.median, unit)} [${textOf(summary.least, unit)} – ${textOf(summary.most, unit)}]`;
}

// A figure of a group as text. Where a migration that ends by itself has not: how long it was waited for.
function figureText(group, key, onlyQuiet, text = spreadText) {
  const runs = countedRuns(group, onlyQuiet);
  const unfinished = key === "completion" ? runs.filter((run) => run.isUnfinished) : [];
  if (unfinished.length === 0) return text(summarize(group, key, onlyQuiet), kMetrics[key].unit);
  const waited = Math.min(...unfinished.map(({ duration }) => (duration < 10 ? duration : Math.floor(duration))));
  return `not within ${timeText(waited)}${unfinished.length < runs.length ? `, ${unfinished.length} of ${runs.length}` : ""}`;
}
const medianText = (summary, unit) => textOf(summary.median, unit);

// "3.4 ×"; of the reference's, where it is far less than that: "1/340".
const rounded = (value) => (value >= 1000 ? whole(Number(value.toPrecision(3))) : digits(value, 2));
const timesText = (factor) => `${rounded(factor)} ×`;
const shareText = (factor) => (factor < 0.1 ? `1/${rounded(1 / factor)}` : timesText(factor));
