// The line above everything: which run, how far it is, and what came of its messages.
import { bytes, count, h, put, share } from "./dom.js";
import { themeButton } from "./theme.js";

const UNTOLD = "An agent died before it had told the bytes of all its shares";
const STATES = { "goes on": "live", complete: "done", stopped: "stopped" };

/** The heading of a run's page. */
export class Heading {
  constructor() {
    this.name = h("h1");
    this.state = h("span", { class: "state" });
    this.facts = h("span", { class: "facts" });
    this.bar = h("div", { class: "progress" }, h("i"));
    this.progress = h("span", { class: "num" });
    this.figures = h("dl");
    this.problem = h("p", { class: "problem", role: "alert", hidden: true });
    this.back = h("a", { href: "/", hidden: true }, "All runs ›");
    this.element = h("header", { class: "heading" },
      h("div", { class: "who" }, h("a", { href: "/", class: "mark", "aria-label": "Foretell" }, "◉"), this.back, this.name, this.state, this.facts),
      h("div", { class: "far" }, this.bar, this.progress),
      this.figures, themeButton(), this.problem);
  }

  take(state, changed) {
    this.problem.hidden = !state.problem;
    if (state.problem) put(this.problem, state.problem);
    if (!state.ready) return;
    const { fixed, head } = state;
    if (changed.has("all")) {
      put(this.name, fixed.name);
      put(this.facts, `${fixed.task} · ${fixed.algorithm} · ${state.agents.length} agents, ${fixed.topology.kind} · seed ${fixed.seed} · ${fixed.substrate === "run" ? "processes" : "simulated"}`);
      document.title = `${fixed.name} · Foretell`;
    }
    put(this.state, head.state + (head.life > 0 ? `, life ${head.life}` : ""));
    this.state.className = `state ${STATES[head.state]}`;
    put(this.progress, `${head.episode} / ${head.episodes} episodes`);
    this.bar.firstChild.style.width = `${(100 * head.episode) / head.episodes}%`;
    const figures = [["heard in time", share(head.heard, head.heard + head.missing)], ["missing", count(head.missing)], ["late", count(head.late)],
      ["rejected", count(head.rejected)], ["over edges", bytes(head.bytes), head.bytes == null ? UNTOLD : ""], ["faults struck", count(head.ledger)]];
    const shown = figures.map(([name, value]) => `${name}${value}`).join();
    if (shown !== this.shown) {
      this.shown = shown;
      this.figures.replaceChildren(...figures.map(([name, value, why]) => h("div", why ? { title: why } : {}, h("dt", {}, name), h("dd", { "data-figure": name }, value))));
    }
  }
}
