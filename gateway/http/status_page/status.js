// The panels of the status page: reads /metrics again and again, and draws what the panels say of it.
// The same panels are queries of Prometheus in deploy/grafana; see gateway/telemetry/panels.py.
const EVERY = 5;
const KEPT = 120; // readings in a chart
const LEAST = 24; // as wide as that many, from the first on
const LINES = 8;
const QUANTILES = [0.5, 0.95, 0.99];
const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Return the series of a text of metrics by the name of their metric: [{labels, value}]. */
export function parse(text) {
  const metrics = new Map();
  for (const line of text.split("\n")) {
    const match = line.startsWith("#") ? null : LINE.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] ?? "").matchAll(LABEL)) {
      labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    }
    const series = metrics.get(match[1]) ?? [];
    series.push({ labels, value: Number(match[3].replace("+Inf", "Infinity")) });
    metrics.set(match[1], series);
  }
  return metrics;
}

const key = (labels) => JSON.stringify(Object.entries(labels).sort());
const matches = (labels, where) =>
  Object.entries(where).every(([name, pattern]) => new RegExp(`^(?:${pattern})$`).test(labels[name] ?? ""));
const lineOf = (labels, by) => by.map((name) => labels[name] ?? "").join(" ");

/** Return how much each line of a metric grew a second between two readings; a counter that began anew counts from 0. */
function rates(metric, by, where, now, before, seconds) {
  const old = new Map((before.get(metric) ?? []).map(({ labels, value }) => [key(labels), value]));
  const lines = new Map();
  for (const { labels, value } of now.get(metric) ?? []) {
    if (!matches(labels, where)) continue;
    const last = old.get(key(labels)) ?? 0;
    const grown = value >= last ? value - last : value;
    const line = lineOf(labels, by);
    lines.set(line, (lines.get(line) ?? 0) + grown / seconds);
  }
  return lines;
}

/** Return the value below which a share of what buckets counted is, interpolated as Prometheus does. */
export function quantile(share, buckets) {
  const sorted = [...buckets].sort((a, b) => a[0] - b[0]);
  const total = sorted.length ? sorted[sorted.length - 1][1] : 0;
  if (!(total > 0)) return NaN;
  const rank = share * total;
  let [lower, below] = [0, 0];
  for (const [bound, count] of sorted) {
    if (count >= rank) {
      if (bound === Infinity) return lower;
      return count === below ? bound : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    [lower, below] = [bound, count];
  }
  return lower;
}

/** Return the lines of a panel at a moment: name → value. */
export function evaluate(panel, now, before, seconds, time) {
  const { metric, by, where, part, kind } = panel;
  if (kind === "value" || kind === "most" || kind === "age") {
    const lines = new Map();
    for (const { labels, value } of now.get(metric) ?? []) {
      if (!matches(labels, where)) continue;
      const line = lineOf(labels, by);
      const earlier = lines.get(line) ?? 0;
      if (kind === "value") lines.set(line, earlier + value);
      else lines.set(line, Math.max(earlier, kind === "age" ? time - value : value));
    }
    return lines;
  }
  if (!before) return new Map();
  const rate = (name, filter = where) => rates(name, by, filter, now, before, seconds);
  if (kind === "rate") return rate(metric);
  if (kind === "ratio" || kind === "mean") {
    const above = kind === "ratio" ? rate(metric, { ...where, ...part }) : rate(`${metric}_sum`);
    const below = kind === "ratio" ? rate(metric) : rate(`${metric}_count`);
    return new Map([...below].map(([line, value]) => [line, (above.get(line) ?? 0) / value]));
  }
  const buckets = new Map();
  for (const [line, value] of rates(`${metric}_bucket`, [...by, "le"], where, now, before, seconds)) {
    const parts = line.split(" ");
    const bound = Number(parts.pop().replace("+Inf", "Infinity"));
    const name = parts.join(" ");
    buckets.set(name, [...(buckets.get(name) ?? []), [bound, value]]);
  }
  const lines = new Map();
  for (const share of QUANTILES) {
    for (const [name, counts] of buckets) lines.set(`p${share * 100} ${name}`.trim(), quantile(share, counts));
  }
  return lines;
}

const units = {
  perSecond: (value) => `${short(value)}/s`,
  share: (value) => `${(value * 100).toPrecision(3)} %`,
  bytes: (value) => `${short(value / 1048576)} MiB`,
  number: short,
  seconds: (value) =>
    value < 1 ? `${short(value * 1000)} ms` : value < 120 ? `${short(value)} s` : value < 7200 ? `${short(value / 60)} min` : `${short(value / 3600)} h`,
};
function short(value) {
  return value === 0 ? "0" : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}

class Chart {
  constructor(panel, parent) {
    this.panel = panel;
    this.lines = new Map();
    const root = document.createElement("section");
    root.className = "panel";
    root.innerHTML = '<h3></h3><p></p><svg viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true"></svg><ul></ul>';
    root.querySelector("h3").textContent = panel.title;
    root.querySelector("p").textContent = panel.text;
    [this.svg, this.list] = [root.querySelector("svg"), root.querySelector("ul")];
    parent.append(root);
  }

  add(values) {
    for (const name of new Set([...this.lines.keys(), ...values.keys()])) {
      const line = this.lines.get(name) ?? [];
      line.push(values.get(name) ?? NaN);
      this.lines.set(name, line.slice(-KEPT));
    }
    this.draw();
  }

  draw() {
    const last = (line) => line[line.length - 1];
    const shown = [...this.lines].filter(([, line]) => line.some(Number.isFinite));
    shown.sort(([, a], [, b]) => (last(b) || 0) - (last(a) || 0));
    const lines = shown.slice(0, LINES);
    const most = Math.max(1e-9, ...lines.flatMap(([, line]) => line.filter(Number.isFinite)));
    const width = Math.max(LEAST, ...lines.map(([, line]) => line.length));
    this.svg.replaceChildren(element("line", { class: "axis", x1: 0, x2: 100, y1: 40, y2: 40 }));
    this.list.replaceChildren();
    lines.forEach(([name, line], index) => {
      const start = width - line.length;
      const points = line.map((value, x) => [((start + x) / (width - 1)) * 100, 40 - (value / most) * 38]).filter(([, y]) => Number.isFinite(y));
      const color = `var(--c${index})`;
      const drawn = element("polyline", { points: points.map((point) => point.join(",")).join(" ") });
      drawn.style.stroke = color;
      this.svg.append(drawn);
      const item = document.createElement("li");
      item.style.setProperty("--c", color);
      const [label, value] = [document.createElement("span"), document.createElement("b")];
      label.textContent = label.title = name || this.panel.title;
      value.textContent = Number.isFinite(last(line)) ? units[this.panel.unit](last(line)) : "–";
      item.append(label, value);
      this.list.append(item);
    });
    if (!lines.length) this.list.append(Object.assign(document.createElement("li"), { className: "empty", textContent: "nothing yet" }));
  }
}

function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

async function watch() {
  const state = document.getElementById("state");
  const say = (text, quality) => Object.assign(state, { textContent: text, className: quality });
  document.getElementById("every").textContent = EVERY;
  const sections = await (await fetch("status/panels.json")).json();
  const charts = sections.flatMap(({ title, panels }) => {
    const [head, grid] = [document.createElement("h2"), document.createElement("div")];
    head.textContent = title;
    grid.className = "panels";
    document.getElementById("sections").append(head, grid);
    return panels.map((panel) => new Chart(panel, grid));
  });
  let before, at;
  for (;;) {
    try {
      const answer = await fetch("metrics", { cache: "no-store" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const [now, time] = [parse(await answer.text()), Date.now() / 1000];
      for (const chart of charts) chart.add(evaluate(chart.panel, now, before, time - at, time));
      const ready = (now.get("d365_gateway_workers") ?? []).find(({ labels }) => labels.state === "ready")?.value ?? 0;
      const away = (now.get("d365_gateway_worker_up") ?? []).filter(({ value }) => !value).length;
      say(`${ready} ready${away ? `, ${away} without an answer` : ""}`, ready && !away ? "good" : "bad");
      const info = now.get("d365_gateway_info")?.[0]?.labels;
      if (info) document.getElementById("facts").textContent = `version ${info.version}, Python ${info.python}`;
      [before, at] = [now, time];
    } catch (error) {
      say(`No metrics: ${error.message}`, "bad");
    }
    await new Promise((done) => setTimeout(done, EVERY * 1000));
  }
}

if (globalThis.document) watch();
