// All runs of a folder, a line each; two of them are chosen to be compared.
import { h, number, s } from "./dom.js";
import { themeButton } from "./theme.js";

export class ListPage {
  constructor(host) {
    this.chosen = new Set();
    this.rows = h("tbody");
    this.compare = h("a", { class: "primary", "aria-disabled": "true" }, "Compare two");
    this.where = h("span", { class: "facts" });
    this.filter = h("input", { type: "search", placeholder: "Filter", "aria-label": "Filter runs", oninput: () => this.#draw() });
    const heading = h("header", { class: "heading" },
      h("div", { class: "who" }, h("span", { class: "mark" }, "◉"), h("h1", {}, "Runs"), this.where), this.filter, this.compare, themeButton());
    const heads = ["", "run", "state", "episodes", "task", "algorithm", "agents", "seed", "team return", "", "written"];
    const numbers = new Set(["episodes", "agents", "seed", "team return"]);
    host.append(heading, h("section", { class: "panel list" }, h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { class: numbers.has(head) ? "num" : "" }, head)))), this.rows)));
    document.title = "Runs · Foretell";
  }

  take({ root, runs }) {
    this.where.textContent = root;
    this.runs = runs;
    this.#draw();
  }

  #draw() {
    const wanted = this.filter.value.toLowerCase();
    const shown = (this.runs ?? []).filter((run) => `${run.path} ${run.algorithm ?? ""} ${run.task ?? ""}`.toLowerCase().includes(wanted));
    this.rows.replaceChildren(...(shown.length ? shown.map((run) => this.#row(run)) : [h("tr", {}, h("td", { colspan: 11, class: "dim" }, "No run here yet."))]));
    const [one, other] = this.chosen;
    this.compare.setAttribute("aria-disabled", String(this.chosen.size !== 2));
    if (this.chosen.size === 2) this.compare.href = `/compare?a=${encodeURIComponent(one)}&b=${encodeURIComponent(other)}`;
    else this.compare.removeAttribute("href");
  }

  #row(run) {
    const link = h("a", { href: `/run/${run.path.split("/").map(encodeURIComponent).join("/")}` }, run.path);
    if (run.problem) return h("tr", { class: "gone" }, h("td"), h("td", {}, link), h("td", { colspan: 9, class: "warn" }, run.problem));
    const box = h("input", { type: "checkbox", checked: this.chosen.has(run.path), "aria-label": `Compare ${run.path}`, onchange: () => this.#choose(run.path) });
    const state = { "goes on": "live", complete: "done", stopped: "stopped" }[run.state];
    const progress = h("span", { class: "progress" }, h("i", { style: `width:${(100 * run.episode) / run.episodes}%` }));
    return h("tr", {}, h("td", {}, box), h("td", {}, link), h("td", {}, h("span", { class: `state ${state}` }, run.state)),
      h("td", { class: "num" }, `${run.episode} / ${run.episodes}`, progress), h("td", {}, run.task), h("td", {}, run.algorithm), h("td", { class: "num" }, run.agents),
      h("td", { class: "num" }, run.seed), h("td", { class: "num" }, number(run.value)), h("td", {}, spark(run.curve)),
      h("td", { class: "dim" }, new Date(run.changed * 1000).toLocaleString([], { dateStyle: "short", timeStyle: "short" })));
  }

  #choose(path) {
    if (!this.chosen.delete(path)) this.chosen.add(path);
    if (this.chosen.size > 2) this.chosen.delete(this.chosen.values().next().value);
    this.#draw();
  }
}

function spark(values) {
  const [width, height] = [110, 20];
  if (values.length < 2) return s("svg", { width, height });
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const points = values.map((value, n) => `${(n / (values.length - 1)) * (width - 2) + 1},${height - 2 - ((value - low) / (high - low || 1)) * (height - 4)}`);
  return s("svg", { width, height, class: "spark", "aria-hidden": "true" }, s("polyline", { points: points.join(" ") }));
}
