// The faults of a run: those there are, and a form that adds, changes and heals some while the run goes on.
import { count, h, panel } from "./dom.js";

const KINDS = {
  partition: { label: "Partition", fields: [], hint: "Cuts the selected agents off from all others." },
  drop: { label: "Drop", fields: [["probability", "0.3", "probability"]] },
  delay: { label: "Delay", fields: [["delay_s", "0.1", "seconds"]] },
  crash: { label: "Crash", fields: [["down_s", "0", "seconds down"]], processes: true },
  stop: { label: "Stop", fields: [["for_s", "2", "seconds"]], processes: true },
  other: { label: "Other", fields: [["settings", 'kind="duplicate" probability=0.1', "settings"]] },
};

/** A panel with all faults; `order(wish)` gives the server what a user wants. */
export class Faults {
  constructor(network, order) {
    this.network = network;
    this.order = order;
    this.kind = "partition";
    this.editing = null;
    this.panel = panel("faults", "Faults");
    this.list = h("ul", { class: "faults-list" });
    this.said = h("p", { class: "said", role: "status", "aria-live": "polite" });
    this.form = h("form", { onsubmit: (event) => this.#submit(event) });
    this.panel.body.append(this.form, this.said, this.list);
  }

  take(state, changed) {
    this.state = state;
    if (changed.has("all")) this.#drawForm();
    if (changed.has("all") || changed.has("faults")) this.#drawList();
  }

  /** The selection in the network is another. */
  selected() {
    if (this.state?.ready) this.#drawTarget();
  }

  /** What came of an order. */
  answered({ said, failed }) {
    this.form.classList.remove("busy");
    this.said.textContent = said;
    this.said.classList.toggle("bad", failed);
    if (!failed) this.editing = null;
    this.#drawForm();
  }

  #drawForm() {
    const { state } = this;
    if (!state.goesOn) {
      this.form.replaceChildren(h("p", { class: "dim" }, "Faults can be added while a run goes on."));
      return;
    }
    const kinds = Object.entries(KINDS).map(([kind, { label }]) => h("button", {
      type: "button", "aria-pressed": String(kind === this.kind), disabled: this.editing && kind !== this.kind,
      onclick: () => ((this.kind = kind), this.#drawForm()),
    }, label));
    const fields = KINDS[this.kind].fields.map(([name, value, told]) => h("label", {}, told, h("input", {
      name, value: typed(this.editing?.settings[name]) ?? value, class: name === "settings" ? "long" : "", autocomplete: "off",
    })));
    this.target = h("p", { class: "target" });
    this.button = h("button", { class: "primary", type: "submit" }, this.editing ? `Change ${this.editing.name}` : "Add fault");
    const cancel = this.editing && h("button", { class: "quiet", type: "button", onclick: () => ((this.editing = null), this.#drawForm()) }, "Cancel");
    this.form.replaceChildren(h("div", { class: "kinds", role: "group", "aria-label": "Kind of fault" }, ...kinds),
      this.target, ...fields, h("div", { class: "row" }, this.button, cancel));
    this.#drawTarget();
  }

  #drawTarget() {
    if (!this.target) return;
    const { nodes, lines } = this.network;
    const names = [...nodes].sort((a, b) => a - b).map((place) => this.state.fixed.names[place]);
    const edges = [...lines].map((place) => this.state.edges[place]).map((e) => `${this.state.brief(e.source)} → ${this.state.brief(e.destination)}`);
    const { processes } = KINDS[this.kind];
    let text = "";
    let possible = true;
    if (this.editing) text = "Touches the same edges as before.";
    else if (this.kind === "other") text = "As for foretell fault add.";
    else if (this.kind === "partition" || processes) {
      possible = names.length > 0 && !(this.kind === "partition" && names.length === this.state.agents.length);
      text = possible ? (processes ? listed(names) : `${listed(names)} | all others`) : "Select agents in the network: click, or draw a frame.";
    } else text = edges.length ? listed(edges) : names.length ? `All edges of ${listed(names)}` : "All edges between agents. Select agents or edges for some.";
    this.target.textContent = text;
    this.button.disabled = !possible;
  }

  #drawList() {
    const faults = [...this.state.faults].sort((one, other) => Number(other.in_force) - Number(one.in_force));
    if (!faults.length) {
      this.list.replaceChildren(h("li", { class: "dim" }, "None so far."));
      return;
    }
    this.list.replaceChildren(...faults.map((fault) => this.#item(fault)));
  }

  #item(fault) {
    const mendable = this.state.goesOn && fault.in_force && !fault.processes;
    const button = (text, press) => h("button", { class: "quiet", type: "button", onclick: press, "aria-label": `${text} ${fault.name}` }, text);
    const change = fault.kind in KINDS && KINDS[fault.kind].fields.length > 0;
    const where = fault.from == null ? "of the scenario" : `since episode ${fault.from + 1}`;
    const until = fault.until == null ? "" : `, healed after ${fault.until}`;
    return h("li", {
      class: fault.in_force ? "active" : "", "data-fault": fault.name,
      onmouseenter: () => this.network.light(fault.edges), onmouseleave: () => this.network.light(null),
    },
    h("div", {}, h("i", { class: fault.in_force ? "dot on" : "dot" }), h("b", {}, fault.name), " ", h("span", { class: "dim" }, told(fault))),
    h("div", { class: "row" }, h("span", { class: "dim" }, `${where}${until} · struck ${count(fault.struck)}`),
      h("span", { class: "buttons" }, mendable && change && button("Edit", () => this.#edit(fault)), mendable && button("Heal", () => this.#ask({ what: "heal", name: fault.name })))));
  }

  #edit(fault) {
    this.editing = fault;
    this.kind = fault.kind;
    this.#drawForm();
    this.form.querySelector("input")?.focus();
  }

  #submit(event) {
    event.preventDefault();
    const data = Object.fromEntries(new FormData(this.form));
    if (this.editing) {
      this.#ask({ what: "edit", name: this.editing.name, kind: this.editing.kind, settings: { ...this.editing.settings, ...data } });
    } else if (this.kind === "other") this.#ask({ what: "add", text: data.settings });
    else this.#ask({ what: "add", kind: this.kind, settings: { ...this.#targets(), ...data } });
  }

  #targets() {
    const agents = [...this.network.nodes].sort((a, b) => a - b).map((place) => this.state.id(place));
    const edges = [...this.network.lines].map((place) => this.state.edges[place]).map((e) => `${this.state.id(e.source)}->${this.state.id(e.destination)}`);
    if (this.kind === "partition") return { groups: [agents] };
    if (KINDS[this.kind].processes) return { participants: agents };
    return edges.length ? { edges } : agents.length ? { agents } : {};
  }

  #ask(wish) {
    this.form.classList.add("busy");
    this.said.classList.remove("bad");
    this.said.textContent = "asked; the run takes it when it next looks";
    this.order(wish);
  }
}

function listed(names) {
  return names.length > 6 ? `${names.slice(0, 6).join(", ")} and ${names.length - 6} more` : names.join(", ");
}

/** A setting as a user types it. */
function typed(value) {
  if (value == null || typeof value !== "object") return value;
  if (value.distribution === "constant") return value.value_s;
  return `{${Object.entries(value).map(([name, each]) => `${name}=${JSON.stringify(each)}`).join(", ")}}`;
}

function told(fault) {
  if (fault.settings.groups) return `${fault.kind}: ${[...fault.settings.groups.map((group) => group.join(", ")), "all others"].join(" | ")}`;
  const parts = Object.entries(fault.settings).map(([name, value]) => `${name} ${typeof typed(value) === "number" ? typed(value) : JSON.stringify(value).replaceAll('"', "")}`);
  return [fault.kind === fault.name ? "" : fault.kind, ...parts].filter(Boolean).join(", ");
}
