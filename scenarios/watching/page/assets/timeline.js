// What happened, on the same axis of episodes as the learning curve above it.
import { panel, s } from "./dom.js";
import { horizon } from "./state.js";

const SIDES = { left: 52, right: 14 };
const HIGH = 22;
const MARKS = {
  life: ["↻", "life"], death: ["✕", "bad"], strike: ["✕", "bad"], joined: ["●", "good"], connection: ["≁", "odd"],
  trouble: ["!", "odd"],
};
const LANES = [["lives", ["life", "joined"]], ["processes", ["death", "strike"]], ["network", ["connection", "trouble"]]];

/** Bars for faults, marks for everything else. */
export class Timeline {
  /** `light(places)` lets edges shine while a bar is under the mouse. */
  constructor(light = () => {}) {
    this.panel = panel("timeline", "Timeline");
    this.drawing = s("svg", { role: "img" });
    this.panel.body.append(this.drawing);
    this.#light = light;
    new ResizeObserver(() => this.draw()).observe(this.drawing);
  }

  #light;

  take(state, changed) {
    this.state = state;
    if (["all", "faults", "happenings", "head"].some((name) => changed.has(name))) this.draw();
  }

  draw() {
    const { state } = this;
    const width = this.drawing.clientWidth;
    if (!state?.ready || !width) return;
    const inside = width - SIDES.left - SIDES.right;
    const end = horizon(state.head);
    this.x = (episode) => SIDES.left + (inside * Math.max(0, Math.min(episode, end))) / end;
    const lanes = LANES.filter(([, kinds]) => state.happenings.some(([kind]) => kinds.includes(kind)));
    const faults = state.faults.filter((fault) => !fault.processes);
    const rows = [...lanes.map((lane, row) => this.#lane(lane, row)), ...faults.map((fault, n) => this.#bar(fault, n + lanes.length))];
    const high = Math.max(1, rows.length) * HIGH + 8;
    this.drawing.setAttribute("height", high);
    const now = this.x(state.head.episode);
    this.drawing.replaceChildren(
      s("rect", { x: SIDES.left, y: 0, width: Math.max(0, now - SIDES.left), height: high, class: "past" }),
      s("line", { x1: now, x2: now, y1: 0, y2: high, class: "now" }),
      ...rows.flat(),
    );
    this.drawing.setAttribute("aria-label", state.happenings.map(([, after, text]) => `after episode ${after + 1}: ${text}`).join("; "));
  }

  #lane([name, kinds], row) {
    const y = row * HIGH + HIGH / 2 + 4;
    const begun = new Set(this.state.happenings.filter(([kind]) => kind === "life").map(([, after]) => after));
    const shown = ([kind, after]) => kinds.includes(kind) && (kind !== "joined" || !begun.has(after));
    const found = this.state.happenings.filter(shown);
    return [
      title(name, y),
      ...found.map(([kind, after, text, date]) => {
        const [sign, look] = MARKS[kind];
        const when = date ? `, ${new Date(date * 1000).toLocaleTimeString()}` : "";
        const told = s("title", {}, `after episode ${after + 1}${when}: ${text}`);
        return s("text", { x: this.x(after + 1), y: y + 4, class: `mark ${look}`, "text-anchor": "middle" }, sign, told);
      }),
    ];
  }

  #bar(fault, row) {
    const y = row * HIGH + 7;
    const window = fault.settings.episodes ?? [0, this.state.head.episodes];
    const from = Math.max(window[0], fault.from == null ? 0 : fault.from + 1);
    const until = Math.min(window[1], fault.until == null ? (fault.in_force ? this.state.head.episode : window[1]) : fault.until + 1);
    const left = this.x(from);
    const long = Math.max(3, this.x(until) - left);
    const told = s("title", {}, `${fault.name} (${fault.kind}): episodes ${from} to ${until}, struck ${fault.struck}`);
    const shape = { x: left, y, height: HIGH - 8, width: long, rx: 3, class: `bar ${fault.in_force ? "active" : ""}` };
    const over = { onmouseenter: () => this.#light(fault.edges), onmouseleave: () => this.#light(null) };
    const words = fault.name.length * 6.5 + 10;
    const at = long > words ? left + 6 : left + long + words < this.drawing.clientWidth ? left + long + 5 : left - words + 4;
    return [s("g", over, s("rect", shape, told), s("text", { x: at, y: y + 11, class: "on-bar" }, fault.name)), title("fault", y + 7)];
  }
}

function title(name, y) {
  return s("text", { x: SIDES.left - 8, y: y + 4, class: "lane", "text-anchor": "end" }, name === "processes" ? "process" : name);
}
