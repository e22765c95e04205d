// Agents and edges as tables whose cells change in place.
import { bytes, count, h, number, panel, put, seconds, share } from "./dom.js";

const MOST_ROWS = 80;

/** A table that is sorted by a column, with the rows that matter most. */
class Table {
  constructor(name, title, columns, by) {
    this.note = h("span", { class: "dim" });
    this.panel = panel(name, title, this.note);
    this.columns = columns;
    this.by = by;
    this.down = true;
    this.body = h("tbody");
    this.heads = columns.map((column) => this.#head(column));
    this.panel.body.append(h("table", {}, h("thead", {}, h("tr", {}, ...this.heads)), this.body));
    this.rows = new Map();
  }

  /** Show rows of {key, cells: {column: [value to sort by, text, look]}}. */
  show(rows) {
    this.shown = rows;
    const place = (row) => row.cells[this.by][0] ?? -Infinity;
    const order = this.down ? -1 : 1;
    const sorted = [...rows].sort((one, other) => compare(place(one), place(other)) * order || one.key - other.key);
    const kept = sorted.slice(0, MOST_ROWS);
    const lines = kept.map((row) => this.#row(row));
    if (lines.some((line, n) => this.body.children[n] !== line) || this.body.children.length !== lines.length) {
      this.body.replaceChildren(...lines);
    }
    put(this.note, rows.length > kept.length ? `${kept.length} of ${rows.length}` : `${rows.length}`);
    this.heads.forEach((head, n) => head.setAttribute("aria-sort", this.columns[n].name !== this.by ? "none" : this.down ? "descending" : "ascending"));
  }

  #head(column) {
    const press = () => {
      this.down = this.by === column.name ? !this.down : true;
      this.by = column.name;
      this.show(this.shown ?? []);
    };
    return h("th", { class: column.look ?? "", title: column.title }, h("button", { type: "button", onclick: press }, column.label));
  }

  #row({ key, cells, press, look }) {
    if (!this.rows.has(key)) {
      const row = h("tr", {}, ...this.columns.map(() => h("td")));
      if (press) {
        row.tabIndex = 0;
        row.addEventListener("click", press);
        row.addEventListener("keydown", (event) => event.key === "Enter" && press());
      }
      this.rows.set(key, row);
    }
    const row = this.rows.get(key);
    row.className = look ?? "";
    this.columns.forEach(({ name }, n) => {
      const [, text, cell] = cells[name];
      put(row.children[n], text);
      const wanted = [this.columns[n].look, cell].filter(Boolean).join(" ");
      if (row.children[n].className !== wanted) row.children[n].className = wanted;
      if (this.columns[n].wide) row.children[n].title = text;
    });
    return row;
  }
}

function compare(one, other) {
  return typeof one === "string" || typeof other === "string" ? String(one).localeCompare(String(other)) : one - other;
}

/** Agents: what each does, earns, and waits for. */
export class Agents {
  constructor(press) {
    this.press = press;
    this.table = new Table("agents", "Agents", [
      { name: "agent", label: "agent" },
      { name: "phase", label: "phase" },
      { name: "at", label: "ep / round", look: "num", title: "Its newest round: episode and number" },
      { name: "mean", label: "return", look: "num", title: "Mean over its newest episodes, at most 20" },
      { name: "heard", label: "heard", look: "num", title: "Of the partners of its newest round" },
      { name: "waits", label: "waits", look: "num", title: "For how long it has waited for the same" },
      { name: "for", label: "for", look: "wide", wide: true },
    ], "agent");
    this.table.down = false;
    this.panel = this.table.panel;
  }

  take(state, selected) {
    const hosts = state.agents.some((agent) => agent.host);
    this.table.show(state.agents.map((agent, place) => ({
      key: place,
      press: () => this.press(place),
      look: [selected.has(place) ? "selected" : "", agent.gone ? "gone" : ""].join(" "),
      cells: {
        agent: [place, state.name(place) + (hosts && agent.host ? ` @${agent.host}` : "")],
        phase: [agent.phase, agent.gone ? "gone" : state.phase(agent).toLowerCase() || "–", `phase is-${state.phase(agent).toLowerCase()}`],
        at: [agent.episode * 1000 + agent.round, agent.episode < 0 ? "–" : `${agent.episode} / ${agent.round}`],
        mean: [agent.mean, number(agent.mean)],
        heard: [agent.partners ? agent.heard / agent.partners : 1, `${agent.heard}/${agent.partners}`, agent.heard < agent.partners ? "warn" : ""],
        waits: [agent.waits_s, state.goesOn && agent.waits ? seconds(agent.waits_s) : "–", agent.silent_s > 3 && state.goesOn ? "warn" : ""],
        for: [agent.waits, agent.silent_s > 3 && state.goesOn ? `no sign of it for ${seconds(agent.silent_s)}; ${agent.waits}` : state.head.state === "complete" ? "" : agent.waits],
      },
    })));
  }
}

/** Edges: how shares come, how many bytes, which delays. */
export class Edges {
  constructor(press) {
    this.press = press;
    this.table = new Table("edges", "Edges", [
      { name: "edge", label: "edge" },
      { name: "health", label: "lately" },
      { name: "part", label: "heard", look: "num", title: "Of all shares that were expected" },
      { name: "missing", label: "missing", look: "num" },
      { name: "late", label: "late", look: "num" },
      { name: "speed", label: "B/s", look: "num", title: "Bytes per second lately" },
      { name: "bytes", label: "bytes", look: "num" },
      { name: "delay", label: "held ms", look: "num", title: "How long faults held messages back: mean, longest" },
    ], "missing");
    this.panel = this.table.panel;
  }

  take(state, nodes, lines) {
    const chosen = (edge) => !nodes.size || nodes.has(edge.source) || nodes.has(edge.destination);
    this.table.show(state.edges.filter(chosen).map((edge) => {
      const expected = edge.heard + edge.missing;
      return {
        key: edge.place,
        press: () => this.press(edge.place),
        look: lines.has(edge.place) ? "selected" : "",
        cells: {
          edge: [edge.place, `${state.brief(edge.source)} → ${state.brief(edge.destination)}`],
          health: [edge.health, expected ? edge.health : "–", expected ? `health is-${edge.health}` : "dim"],
          part: [expected ? edge.heard / expected : -1, share(edge.heard, expected)],
          missing: [edge.missing, expected ? count(edge.missing) : "–", edge.missing ? "warn" : ""],
          late: [edge.late, expected ? count(edge.late) : "–"],
          speed: [edge.speed, state.goesOn ? bytes(edge.speed) : "–"],
          bytes: [edge.bytes, bytes(edge.bytes)],
          delay: [edge.delay_ms, edge.held ? `${number(edge.delay_ms, 0)}, ${number(edge.longest_ms, 0)}` : "–"],
        },
      };
    }));
  }
}
