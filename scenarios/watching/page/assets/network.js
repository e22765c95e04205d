// The network as a graph: who talks with whom, how shares come over each edge, what each agent does.
import { bytes, count, h, number, panel, seconds, share, style } from "./dom.js";
import { fitted, layout, relax } from "./layout.js";

/** How each health is drawn: color, dashes, width; so that color is never all that tells them apart. */
const HEALTH = {
  quiet: ["--quiet", [], 1],
  heard: ["--heard", [], 1.6],
  late: ["--late", [9, 4], 2.2],
  missing: ["--missing", [5, 4], 2.4],
  rejected: ["--rejected", [9, 3, 2, 3], 2.4],
  cut: ["--missing", [1.5, 5], 2.6],
};
const TOLD = { quiet: "nothing expected", heard: "heard in time", late: "late", missing: "missing", cut: "nothing heard",
  rejected: "rejected" };
const PHASES = { ACTING: "--acting", SHARING: "--sharing" };

/** A graph that is drawn, and in which nodes and edges are selected. */
export class Network {
  /** `changed()` is called when the selection has changed. */
  constructor(changed = () => {}, title = "Network") {
    this.environment = h("span", { class: "dim" });
    this.panel = panel("network", title, this.environment);
    this.canvas = h("canvas", { tabindex: "0", role: "img" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.panel.body.append(h("div", { class: "stage" }, this.canvas, this.tip), legend());
    this.nodes = new Set();
    this.lines = new Set();
    this.lit = null;
    this.#changed = changed;
    this.#listen();
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.canvas);
  }

  #changed;
  #places = [];
  #at = [];
  #hover = null;
  #drag = null;
  #focus = 0;
  #moving = false;

  take(state, changed) {
    this.state = state;
    if (changed.has("all")) {
      const pairs = state.between.filter((edge) => edge.source < edge.destination);
      this.#places = layout(state.fixed.topology, state.agents.length, pairs.map((e) => [e.source, e.destination]));
      this.nodes.clear();
      this.lines.clear();
    }
    if (state.fixed.topology.kind === "proximity" && changed.has("edges")) this.#move();
    const [phase, waits] = state.head.environment;
    this.environment.textContent = phase && state.goesOn ? `environment ${phase.toLowerCase()}` : "";
    this.environment.title = waits;
    this.draw();
  }

  clear() {
    this.nodes.clear();
    this.lines.clear();
    this.#tell();
  }

  /** Let an edge set shine, such as that of a fault; null for none. */
  light(places) {
    this.lit = places && new Set(places);
    this.draw();
  }

  draw() {
    if (!this.state?.ready) return;
    const { canvas } = this;
    const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.#fit(width, height);
    this.#drawEdges(pen);
    this.state.agents.forEach((agent, place) => this.#drawNode(pen, agent, place));
    if (this.#drag?.to) this.#drawFrame(pen);
    const sick = this.state.between.filter((edge) => ["missing", "cut", "rejected"].includes(edge.health)).length;
    canvas.setAttribute("aria-label", `${this.state.agents.length} agents, ${this.state.between.length} edges, ` +
      `${sick} of them sick. Arrow keys go from agent to agent, Enter selects, Escape clears.`);
  }

  #fit(width, height) {
    const all = this.#places.length;
    const room = Math.min(width, height);
    this.radius = Math.max(4, Math.min(21, (room * 1.05) / Math.max(all, 4)));
    const edge = this.radius + (all <= 30 ? 24 : 8);
    const [wide, high] = [width - 2 * edge, height - 2 * edge];
    this.#at = this.#places.map(({ x, y }) => ({ x: edge + x * wide, y: edge + y * high }));
  }

  #drawEdges(pen) {
    const { between } = this.state;
    const order = Object.keys(HEALTH);
    const many = between.length > 400;
    const sorted = [...between].sort((one, other) => order.indexOf(one.health) - order.indexOf(other.health));
    for (const edge of sorted) {
      const lit = this.lit?.has(edge.place) || this.lines.has(edge.place) || this.#hover?.edge === edge;
      const beside = this.#hover?.node != null && this.#hover.node !== edge.source && this.#hover.node !== edge.destination;
      const curve = this.#curve(edge);
      if (edge.faults.length || lit) {
        pen.globalAlpha = lit ? 0.75 : 0.4;
        stroke(pen, curve, style("--fault"), [], lit ? 8 : 6);
      }
      const [color, dashes, width] = HEALTH[edge.health];
      pen.globalAlpha = beside ? 0.08 : edge.health === "quiet" ? (many ? 0.06 : 0.35) : many && edge.health === "heard" ? 0.25 : 0.9;
      stroke(pen, curve, style(color), dashes, many ? Math.min(width, 1.4) : width);
      if (!many && edge.health !== "quiet" && !beside) arrow(pen, curve, style(color), this.radius);
      if (edge.health === "cut" && !many) cross(pen, along(curve, 0.5), style("--missing"));
    }
    pen.globalAlpha = 1;
  }

  /** The curve of an edge: bent to its right, so that both directions are seen. */
  #curve({ source, destination }) {
    const [from, to] = [this.#at[source], this.#at[destination]];
    const [x, y] = [to.x - from.x, to.y - from.y];
    const length = Math.hypot(x, y) || 1;
    const bend = Math.min(26, 8 + length * 0.06);
    const by = { x: (from.x + to.x) / 2 - (y / length) * bend, y: (from.y + to.y) / 2 + (x / length) * bend };
    return { from, by, to };
  }

  #drawNode(pen, agent, place) {
    const { x, y } = this.#at[place];
    const { radius } = this;
    const selected = this.nodes.has(place);
    const awaited = this.#hover?.node != null && this.state.agents[this.#hover.node].awaited.includes(this.state.id(place));
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = style("--panel");
    pen.fill();
    pen.setLineDash(agent.gone ? [3, 3] : []);
    pen.lineWidth = selected ? 4 : 2.5;
    pen.strokeStyle = style(selected ? "--text" : agent.gone ? "--missing" : PHASES[this.state.phase(agent)] ?? "--quiet");
    pen.stroke();
    pen.setLineDash([]);
    if (awaited || this.#hover?.node === place || (document.activeElement === this.canvas && this.#focus === place)) {
      pen.beginPath();
      pen.arc(x, y, radius + 4, 0, 2 * Math.PI);
      pen.lineWidth = 1.5;
      pen.strokeStyle = style(awaited ? "--late" : "--accent");
      pen.stroke();
    }
    if (radius < 7) return;
    pen.fillStyle = style("--text");
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const short = this.state.short(place);
    const size = Math.min(14, Math.max(8, (radius * 1.9) / Math.max(short.length * 0.6, 1.5)));
    pen.font = `600 ${size}px ${style("--font")}`;
    pen.fillText(agent.gone ? "×" : short, x, y + 0.5, radius * 1.8);
    if (radius < 12) return;
    pen.font = `11px ${style("--font")}`;
    pen.fillStyle = style("--dim");
    const told = [agent.mean == null ? "" : number(agent.mean), agent.host].filter(Boolean).join(" · ");
    pen.lineWidth = 4;
    pen.lineJoin = "round";
    pen.strokeStyle = style("--panel");
    pen.strokeText(told, x, y + radius + 11);
    pen.fillText(told, x, y + radius + 11);
  }

  #drawFrame(pen) {
    const { from, to } = this.#drag;
    pen.setLineDash([4, 3]);
    pen.lineWidth = 1;
    pen.strokeStyle = style("--accent");
    pen.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
    pen.setLineDash([]);
  }

  // Proximity: who is near pulls, and everybody drifts to their new place.

  #move() {
    if (this.#moving || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.#moving = true;
    let steps = 40;
    const step = () => {
      const near = this.state.between.filter((edge) => edge.health !== "quiet" && edge.source < edge.destination);
      const moved = relax(this.#places, near.map((e) => [e.source, e.destination]), 0.9 / Math.sqrt(this.#places.length), 0.012);
      this.#places = fitted(this.#places);
      this.draw();
      this.#moving = --steps > 0 && moved > 0.001 && this.canvas.isConnected;
      if (this.#moving) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  // Mouse and keys

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => (this.#drag = { from: point(event), far: false }));
    canvas.addEventListener("pointermove", (event) => this.#pointed(event));
    canvas.addEventListener("pointerleave", () => this.#show(null));
    canvas.addEventListener("pointerup", (event) => this.#released(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.draw());
    canvas.addEventListener("blur", () => this.draw());
  }

  #pointed(event) {
    const at = point(event);
    if (this.#drag && event.buttons && event.pointerType === "mouse") {
      this.#drag.far ||= Math.hypot(at.x - this.#drag.from.x, at.y - this.#drag.from.y) > 6;
      if (this.#drag.far) {
        this.#drag.to = at;
        this.draw();
      }
      return;
    }
    this.#show(this.#find(at), at);
  }

  #released(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag || !this.state?.ready) return;
    if (drag.to) {
      const inside = (low, high, value) => Math.min(low, high) <= value && value <= Math.max(low, high);
      this.#at.forEach(({ x, y }, place) => {
        if (inside(drag.from.x, drag.to.x, x) && inside(drag.from.y, drag.to.y, y)) this.nodes.add(place);
      });
    } else {
      const found = this.#find(point(event));
      if (found?.node != null) toggle(this.nodes, found.node);
      else if (found?.edge) toggle(this.lines, found.edge.place);
      else this.clear();
    }
    this.#tell();
  }

  #key(event) {
    const all = this.#places.length;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key in steps) this.#focus = (this.#focus + steps[event.key] + all) % all;
    else if (event.key === "Enter" || event.key === " ") toggle(this.nodes, this.#focus), this.#tell();
    else if (event.key === "Escape") this.clear();
    else return;
    event.preventDefault();
    this.#show({ node: this.#focus }, this.#at[this.#focus]);
  }

  #tell() {
    this.draw();
    this.#changed();
  }

  #find(at) {
    const node = this.#at.findIndex(({ x, y }) => Math.hypot(x - at.x, y - at.y) <= this.radius + 3);
    if (node >= 0) return { node };
    let best = null;
    let least = 7;
    for (const edge of this.state?.between ?? []) {
      const curve = this.#curve(edge);
      for (let t = 0.1; t < 0.95; t += 0.05) {
        const { x, y } = along(curve, t);
        const distance = Math.hypot(x - at.x, y - at.y);
        if (distance < least) [best, least] = [edge, distance];
      }
    }
    return best && { edge: best };
  }

  #show(found, at) {
    const same = found?.node === this.#hover?.node && found?.edge === this.#hover?.edge;
    this.#hover = found;
    this.canvas.style.cursor = found ? "pointer" : "default";
    if (!same) this.draw();
    this.tip.hidden = !found;
    if (!found) return;
    this.tip.replaceChildren(...(found.edge ? this.#edgeTip(found.edge) : this.#nodeTip(found.node)));
    const room = this.canvas.clientWidth - this.tip.offsetWidth - 8;
    this.tip.style.left = `${Math.max(4, Math.min(at.x + 14, room))}px`;
    this.tip.style.top = `${at.y + 16}px`;
  }

  #edgeTip(edge) {
    const faults = edge.faults.length ? [h("div", { class: "fault-text" }, `fault: ${edge.faults.join(", ")}`)] : [];
    const delay = edge.held ? `, held back ${number(edge.delay_ms, 0)} ms` : "";
    return [
      h("b", {}, `${this.state.name(edge.source)} → ${this.state.name(edge.destination)}`),
      h("div", {}, `${TOLD[edge.health]} lately; of all ${share(edge.heard, edge.heard + edge.missing)} heard`),
      h("div", {}, `${count(edge.sent)} sent, ${bytes(edge.bytes)}${delay}`),
      ...faults,
    ];
  }

  #nodeTip(place) {
    const agent = this.state.agents[place];
    return [
      h("b", {}, this.state.name(place)),
      h("div", {}, `${agent.gone ? "gone" : this.state.phase(agent).toLowerCase() || (this.state.goesOn ? "no sign yet" : "ended")}, episode ${agent.episode}`),
      h("div", {}, `return ${number(agent.mean)}, heard ${agent.heard} of ${agent.partners}`),
      ...(agent.waits ? [h("div", { class: "dim" }, `waits ${seconds(agent.waits_s)} for ${agent.waits}`)] : []),
    ];
  }
}

function legend() {
  const line = (health) => {
    const [color, dashes, width] = HEALTH[health];
    const sample = `<svg width="26" height="8" aria-hidden="true"><line x1="1" y1="4" x2="25" y2="4" stroke="var(${color})" stroke-width="${width}" stroke-dasharray="${dashes}"/></svg>`;
    const item = h("span", {});
    item.innerHTML = sample;
    item.append(TOLD[health]);
    return item;
  };
  const ring = (color, text) => h("span", {}, h("i", { style: `border-color:var(${color})` }), text);
  return h("div", { class: "legend" }, ...["heard", "late", "missing", "cut", "rejected"].map(line),
    h("span", {}, h("i", { class: "band" }), "under a fault"), ring("--acting", "acting"), ring("--sharing", "sharing"));
}

function point(event) {
  return { x: event.offsetX, y: event.offsetY };
}

function toggle(set, value) {
  set.has(value) ? set.delete(value) : set.add(value);
}

function along({ from, by, to }, t) {
  const rest = 1 - t;
  return {
    x: rest * rest * from.x + 2 * rest * t * by.x + t * t * to.x,
    y: rest * rest * from.y + 2 * rest * t * by.y + t * t * to.y,
  };
}

function stroke(pen, { from, by, to }, color, dashes, width) {
  pen.beginPath();
  pen.moveTo(from.x, from.y);
  pen.quadraticCurveTo(by.x, by.y, to.x, to.y);
  pen.setLineDash(dashes);
  pen.lineWidth = width;
  pen.strokeStyle = color;
  pen.stroke();
  pen.setLineDash([]);
}

function arrow(pen, curve, color, radius) {
  const length = Math.hypot(curve.to.x - curve.from.x, curve.to.y - curve.from.y) || 1;
  const end = along(curve, 1 - (radius + 2) / length);
  const before = along(curve, 1 - (radius + 9) / length);
  const angle = Math.atan2(end.y - before.y, end.x - before.x);
  pen.beginPath();
  for (const [size, turn] of [[0, 0], [7, Math.PI - 0.4], [7, Math.PI + 0.4]]) {
    pen.lineTo(end.x + size * Math.cos(angle + turn), end.y + size * Math.sin(angle + turn));
  }
  pen.fillStyle = color;
  pen.fill();
}

function cross(pen, { x, y }, color) {
  pen.beginPath();
  pen.arc(x, y, 6.5, 0, 2 * Math.PI);
  pen.fillStyle = style("--panel");
  pen.fill();
  pen.beginPath();
  for (const sign of [1, -1]) {
    pen.moveTo(x - 3.5, y - 3.5 * sign);
    pen.lineTo(x + 3.5, y + 3.5 * sign);
  }
  pen.lineWidth = 2;
  pen.strokeStyle = color;
  pen.stroke();
}
