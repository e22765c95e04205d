// What this browser knows of one run: the server's messages put together.

export const AGENT = ["phase", "episode", "round", "heard", "partners", "value", "mean", "waits", "awaited", "waits_s",
  "silent_s", "host", "deaths", "gone"];
export const EDGE = ["health", "sent", "bytes", "heard", "late", "missing", "rejected", "dropped", "speed", "held",
  "delay_ms", "longest_ms"];

function named(names, row) {
  return Object.fromEntries(names.map((name, place) => [name, row[place]]));
}

/** The last episode on an axis: all of them, or where few are done yet, somewhat more than those. */
export function horizon({ episode, episodes }) {
  if (episode > episodes / 4) return episodes;
  let found = 20;
  while (found < episode * 1.3) found *= found.toString().startsWith("5") ? 2 : found.toString().startsWith("2") ? 2.5 : 2;
  return Math.min(found, episodes);
}

/** What is known of a run. */
export class RunState {
  constructor() {
    this.ready = false;
  }

  /** Put a message in; returns the names of what has changed. */
  take(message) {
    if (message.problem) {
      this.problem = message.problem;
      return new Set(["problem"]);
    }
    const changed = new Set(Object.keys(message));
    if (this.problem) {
      this.problem = null;
      changed.add("problem");
    }
    if (message.all) this.#begin(message);
    else this.#change(message);
    for (const name of ["head", "settings", "evaluations", "faults", "happenings"]) {
      if (name in message) this[name] = message[name];
    }
    if (message.curve) {
      const { window, from, values } = message.curve;
      this.curve = { window, values: [...(from ? this.curve.values.slice(0, from) : []), ...values] };
    }
    if (changed.has("faults") || message.all) this.#mark();
    return changed;
  }

  /** What people are told of an agent, by its place; -1 is the environment. */
  name(place) {
    if (place < 0) return "environment";
    const { ids, names } = this.fixed;
    return names[place] === ids[place] ? ids[place] : `${names[place]} (${ids[place]})`;
  }

  id(place) {
    return place < 0 ? "environment" : this.fixed.ids[place];
  }

  /** A name short enough for a node. */
  short(place) {
    const { ids, names } = this.fixed;
    return names[place] === ids[place] ? ids[place].replace("agent-", "") : names[place];
  }

  /** A name short enough for a cell. */
  brief(place) {
    return place < 0 ? "env" : this.fixed.names[place];
  }

  /** What an agent does; nothing any more where the run does not go on. */
  phase(agent) {
    return this.goesOn ? agent.phase : "";
  }

  get goesOn() {
    return this.head.state === "goes on";
  }

  #begin(message) {
    this.ready = true;
    this.fixed = message.fixed;
    this.agents = message.agents.map((row) => named(AGENT, row));
    this.edges = message.edges.map((row, place) => {
      const [source, destination] = message.fixed.pairs[place];
      return { ...named(EDGE, row), place, source, destination, faults: [] };
    });
    this.between = this.edges.filter((edge) => edge.source >= 0 && edge.destination >= 0);
  }

  #change(message) {
    for (const [place, row] of message.agents ?? []) Object.assign(this.agents[place], named(AGENT, row));
    for (const [place, row] of message.edges ?? []) Object.assign(this.edges[place], named(EDGE, row));
  }

  /** Note at each edge which faults in force touch it. */
  #mark() {
    for (const edge of this.edges) edge.faults = [];
    for (const fault of this.faults) {
      if (fault.in_force) for (const place of fault.edges) this.edges[place].faults.push(fault.name);
    }
  }
}
