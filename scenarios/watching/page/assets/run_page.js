// The page of one run.
import { Curve } from "./curve.js";
import { Faults } from "./faults.js";
import { Heading } from "./heading.js";
import { Network } from "./network.js";
import { SceneView } from "./scene.js";
import { RunState } from "./state.js";
import { Agents, Edges } from "./tables.js";
import { onTheme } from "./theme.js";
import { Timeline } from "./timeline.js";
import { h } from "./dom.js";

export class RunPage {
  constructor(host, emit) {
    this.state = new RunState();
    this.heading = new Heading();
    this.network = new Network(() => this.#selected());
    this.curve = new Curve();
    this.timeline = new Timeline((places) => this.network.light(places));
    this.faults = new Faults(this.network, (wish) => emit("order", wish));
    this.agents = new Agents((place) => this.#toggle(this.network.nodes, place));
    this.edges = new Edges((place) => this.#toggle(this.network.lines, place));
    this.scene = new SceneView((wish) => emit("scene", wish));
    const middle = h("div", { class: "middle" }, this.curve.panel, this.timeline.panel);
    host.append(this.heading.element, h("div", { class: "panels" }, this.network.panel, middle, this.faults.panel,
      this.agents.panel, this.edges.panel, this.scene.panel));
    this.#unlisten = onTheme(() => this.#restyle());
    this.emit = emit;
  }

  #unlisten;
  #restyling;

  take(message) {
    if (message.scene) return this.#draw(message.scene);
    if (message.answer) return this.faults.answered(message.answer);
    if (message.list) this.heading.back.hidden = false;
    const changed = this.state.take(message);
    this.heading.take(this.state, changed);
    if (!this.state.ready) return;
    this.network.take(this.state, changed);
    if (["all", "curve", "evaluations"].some((name) => changed.has(name))) this.curve.take(this.state);
    this.timeline.take(this.state, changed);
    this.faults.take(this.state, changed);
    this.#tables();
    if (changed.has("all")) this.emit("scene", this.scene.wish());
  }

  close() {
    this.#unlisten();
    this.curve.close();
    this.scene.close();
  }

  /** Draw an episode; where there is none to draw yet, ask again later. */
  #draw(scene) {
    this.scene.take(scene);
    if (scene.problem && this.state.goesOn) setTimeout(() => this.emit("scene", this.scene.wish()), 15000);
  }

  #tables() {
    this.agents.take(this.state, this.network.nodes);
    this.edges.take(this.state, this.network.nodes, this.network.lines);
  }

  #toggle(set, place) {
    set.has(place) ? set.delete(place) : set.add(place);
    this.network.draw();
    this.#selected();
  }

  #selected() {
    this.faults.selected();
    if (this.state.ready) this.#tables();
  }

  #restyle() {
    if (!this.state.ready) return;
    this.network.draw();
    this.curve.restyle();
    this.scene.draw();
  }
}
