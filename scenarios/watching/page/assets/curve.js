// The learning curve: team return by episode, its mean, evaluations with intervals, and reference lines.
import { h, number, panel, style } from "./dom.js";
import { horizon } from "./state.js";

const SIDES = { left: 52, right: 14 };
let echarts = null; // a large library: all else is drawn before it is there
const library = import("nicegui-echart").then((found) => (echarts = found.echarts));
/** Of the first and the second run. */
export const COLORS = ["--heard", "--late"];

/** A learning curve; of two runs where they are compared. */
export class Curve {
  constructor(title = "Learning curve") {
    this.note = h("span", { class: "dim" });
    this.panel = panel("curve", title, this.note);
    this.place = h("div", { class: "chart", role: "img" });
    this.panel.body.append(this.place);
    this.runs = [];
  }

  /** Draw what is known of one run, or of each. */
  take(...runs) {
    this.runs = runs.filter((run) => run?.ready);
    if (!this.runs.length) return;
    if (!echarts) {
      this.waiting ??= library.then(() => this.take(...this.runs));
      return;
    }
    this.chart ??= this.#made();
    const [first] = this.runs;
    this.chart.setOption(this.#options(), { replaceMerge: ["series"], lazyUpdate: true });
    const known = first.curve.values;
    const last = known.length ? mean(known.slice(-tenth(known.length))) : null;
    const text = this.runs.length > 1 ? "" : `newest ${number(last)}`;
    this.note.textContent = text;
    this.place.setAttribute("aria-label", `Team return by episode: ${known.length * first.curve.window} episodes, ${text}`);
  }

  restyle() {
    this.chart?.dispose();
    this.chart = null;
    this.take(...this.runs);
  }

  close() {
    this.resizing?.disconnect();
    this.chart?.dispose();
  }

  #made() {
    const chart = echarts.init(this.place, null, { renderer: "canvas" });
    this.resizing?.disconnect();
    this.resizing = new ResizeObserver(() => chart.resize());
    this.resizing.observe(this.place);
    return chart;
  }

  #options() {
    const [dim, line] = [style("--dim"), style("--line")];
    const label = { color: dim, fontSize: 11, fontFamily: style("--font") };
    const episodes = Math.max(...this.runs.map((run) => horizon(run.head)));
    return {
      animation: false,
      grid: { ...SIDES, top: 14, bottom: 26 },
      textStyle: { fontFamily: style("--font") },
      tooltip: {
        trigger: "axis",
        backgroundColor: style("--panel"),
        borderColor: line,
        textStyle: { color: style("--text"), fontSize: 12 },
        formatter: (found) => this.#tip(found),
        axisPointer: { lineStyle: { color: dim } },
      },
      xAxis: {
        type: "value", min: 0, max: episodes, axisLabel: { ...label, hideOverlap: true }, splitLine: { show: false },
        axisLine: { lineStyle: { color: line } }, axisTick: { lineStyle: { color: line } },
      },
      yAxis: {
        type: "value", scale: true, axisLabel: label, splitLine: { lineStyle: { color: line } }, splitNumber: 6,
      },
      series: [...this.runs.flatMap((run, place) => this.#series(run, place)), this.#seen()],
    };
  }

  #tip(found) {
    const rows = found.filter((each) => each.seriesName).map((each) => `${each.seriesName} ${number(each.value[1])}`);
    return [`episode ${Math.round(found[0].value[0])}`, ...new Set(rows)].join("<br>");
  }

  /** Points that nobody sees, for an axis on which references are, if the curve would not be flat with them. */
  #seen() {
    const own = this.runs.flatMap((run) => run.curve.values);
    const [low, high] = own.reduce(([a, b], each) => [Math.min(a, each), Math.max(b, each)], [Infinity, -Infinity]);
    const room = 2 * (high - low) + 5;
    const near = this.#references.map(([, at]) => at).filter((at) => !own.length || (at > low - room && at < high + room));
    return { id: "seen", type: "scatter", symbolSize: 0, silent: true, data: near.map((at) => [0, at]) };
  }

  #series(run, place) {
    const color = style(COLORS[place]);
    const { window, values } = run.curve;
    const x = (n) => n * window + (window + 1) / 2;
    const raw = values.map((value, n) => [x(n), value]);
    const smooth = smoothed(values, Math.max(1, Math.round(values.length / 50))).map((value, n) => [x(n), value]);
    const name = this.runs.length > 1 ? ["A", "B"][place] : "";
    const plain = { type: "line", showSymbol: raw.length === 1, symbolSize: 5, color };
    const series = [
      { ...plain, id: `raw${place}`, name: `${name} return`.trim(), data: raw, sampling: "lttb", lineStyle: { width: 1, opacity: 0.3 }, silent: true },
      { ...plain, id: `mean${place}`, name: `${name} mean`.trim(), data: smooth, lineStyle: { width: 2.2 }, markLine: place ? undefined : this.#lines() },
    ];
    if (run.evaluations.length) series.push(evaluations(run, place, name));
    return series;
  }

  /** Those that all runs have in common. */
  get #references() {
    const [first, ...others] = this.runs.map((run) => run.fixed.references);
    return others.every((other) => JSON.stringify(other) === JSON.stringify(first)) ? first : [];
  }

  #lines() {
    return {
      silent: true, symbol: "none", lineStyle: { type: "dotted", color: style("--dim"), width: 1.2 },
      label: { position: "insideEndTop", color: style("--dim"), fontSize: 11, formatter: "{b}" },
      data: this.#references.map(([name, at]) => ({ name: `${name} ${number(at)}`, yAxis: at })),
    };
  }
}

/** A point for each evaluation, with its interval. */
function evaluations(run, place, name) {
  const color = style("--text");
  return {
    id: `evaluations${place}`, type: "custom", name: `${name} evaluation`.trim(), z: 5,
    encode: { x: 0, y: [1, 2, 3] }, data: run.evaluations,
    renderItem: (_, api) => {
      const [x, y] = api.coord([api.value(0), api.value(1)]);
      const bar = Number.isFinite(api.value(2)) ? [api.coord([0, api.value(2)])[1], api.coord([0, api.value(3)])[1]] : [y, y];
      return {
        type: "group",
        children: [
          { type: "line", shape: { x1: x, y1: bar[0], x2: x, y2: bar[1] }, style: { stroke: color, lineWidth: 1.4 } },
          { type: "circle", shape: { cx: x, cy: y, r: 3.5 }, style: { fill: style("--panel"), stroke: color, lineWidth: 1.6 } },
        ],
      };
    },
  };
}

function tenth(length) {
  return Math.max(1, Math.floor(length / 10));
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean over a window that ends at each value. */
function smoothed(values, window) {
  const found = [];
  let sum = 0;
  values.forEach((value, n) => {
    sum += value - (n >= window ? values[n - window] : 0);
    found.push(sum / Math.min(n + 1, window));
  });
  return found;
}
