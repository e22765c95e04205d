// Two runs side by side: one chart for both curves, a network each, and what differs.
import { bytes, count, h, number, panel, share } from "./dom.js";
import { COLORS, Curve } from "./curve.js";
import { Network } from "./network.js";
import { RunState } from "./state.js";
import { onTheme, themeButton } from "./theme.js";

const LOOSE = new Set(["description"]);

export class ComparePage {
  constructor(host) {
    this.states = [new RunState(), new RunState()];
    this.networks = this.states.map((_, place) => new Network(() => {}, `Run ${"AB"[place]}`));
    this.networks.forEach((network, place) => network.panel.querySelector("h2").after(h("i", { class: "swatch", style: `background:var(${COLORS[place]})` })));
    this.curve = new Curve("Learning curves");
    this.figures = panel("figures", "Figures");
    this.differences = panel("differences", "Settings that differ");
    this.problem = h("p", { class: "problem", role: "alert", hidden: true });
    const heading = h("header", { class: "heading" },
      h("div", { class: "who" }, h("a", { href: "/", class: "mark", "aria-label": "Foretell" }, "◉"), h("h1", {}, "Two runs")),
      h("a", { href: "/", class: "quiet" }, "All runs"), themeButton(), this.problem);
    host.append(heading, h("div", { class: "panels compare" }, this.networks[0].panel, this.networks[1].panel,
      this.curve.panel, this.figures, this.differences));
    document.title = "Two runs · Foretell";
    this.#unlisten = onTheme(() => {
      this.networks.forEach((network) => network.draw());
      this.curve.restyle();
    });
  }

  #unlisten;

  take({ place, ...message }) {
    const state = this.states[place];
    const changed = state.take(message);
    this.#problems();
    if (!state.ready) return;
    this.networks[place].take(state, changed);
    if (["all", "curve", "evaluations"].some((name) => changed.has(name))) this.curve.take(...this.states);
    this.#figures();
    if (changed.has("settings")) this.#differences();
  }

  close() {
    this.#unlisten();
    this.curve.close();
  }

  /** Why a run cannot be shown stays there while the other one goes on. */
  #problems() {
    const said = this.states.flatMap(({ problem }, place) => (problem ? [`Run ${"AB"[place]}: ${problem}`] : []));
    this.problem.hidden = !said.length;
    this.problem.textContent = said.join("; ");
  }

  #figures() {
    const last = ({ curve: { values } }) => values.slice(-Math.max(1, Math.floor(values.length / 10)));
    const mean = (values) => (values.length ? values.reduce((a, b) => a + b) / values.length : null);
    const rows = [
      ["folder", (run) => run.fixed.root],
      ["state", (run) => `${run.head.state}, ${run.head.episode} of ${run.head.episodes} episodes`],
      ["team return, last tenth", (run) => number(mean(last(run)))],
      ["heard in time", (run) => share(run.head.heard, run.head.heard + run.head.missing)],
      ["missing, late, rejected", (run) => [run.head.missing, run.head.late, run.head.rejected].map(count).join(", ")],
      ["over edges", (run) => bytes(run.head.bytes)],
      ["faults struck", (run) => count(run.head.ledger)],
    ];
    this.figures.body.replaceChildren(table(rows.map(([name, of]) => [name, ...this.states.map((run) => (run.ready ? of(run) : "…"))])));
  }

  #differences() {
    const [one, other] = this.states;
    if (!one.ready || !other.ready) return;
    const [a, b] = [one.settings, other.settings];
    const names = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => !LOOSE.has(name) && a[name] !== b[name]).sort();
    this.differences.body.replaceChildren(names.length ? table(names.map((name) => [name, a[name] ?? "–", b[name] ?? "–"]))
      : h("p", { class: "dim" }, "None: the same document, and the same faults while it was played."));
  }
}

function table(rows) {
  const head = h("thead", {}, h("tr", {}, ...["", "A", "B"].map((text) => h("th", {}, text))));
  return h("table", {}, head, h("tbody", {}, ...rows.map(([name, ...cells]) => h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((cell) => h("td", { title: cell }, cell))))));
}
