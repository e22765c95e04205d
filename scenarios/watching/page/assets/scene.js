// The environment, step by step: an episode as it was played, or as the agents play it with what they have learned.
import { h, number, panel, style } from "./dom.js";

const STEP_MS = 320;
const COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8a7f00", "#6b7280"];

/** A picture of an episode with the buttons of a player; `ask({played, number})` wants an episode. */
export class SceneView {
  constructor(ask) {
    this.note = h("span", { class: "dim" });
    this.panel = panel("scene", "Environment", this.note);
    this.canvas = h("canvas", { role: "img" });
    this.text = h("pre", { hidden: true });
    this.image = h("img", { hidden: true, alt: "What the environment shows of itself" });
    this.play = h("button", { type: "button", class: "quiet", "aria-label": "Play or pause", onclick: () => this.#toggle() }, "❚❚");
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step", oninput: () => this.#to(Number(this.slider.value)) });
    this.another = h("button", { type: "button", class: "quiet", onclick: () => this.#ask() }, "Another episode");
    this.which = h("select", { "aria-label": "Which episodes", hidden: true, onchange: () => this.#choose() },
      h("option", { value: "learned" }, "as learned"), h("option", { value: "played" }, "as played"));
    this.number = h("input", { type: "number", min: 0, hidden: true, "aria-label": "Episode", onchange: () => this.#ask(this.number.value) });
    this.told = h("div", { class: "dim told" }, "…");
    this.panel.body.append(h("div", { class: "stage" }, this.canvas, this.text, this.image), h("div", { class: "row" }, this.play, this.slider),
      h("div", { class: "row" }, this.which, this.number, this.another), this.told);
    this.ask = ask;
    this.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.at = 0;
    this.timer = setInterval(() => this.playing && !document.hidden && this.frames && this.#to((this.at + 1) % (this.frames.length + 3)), STEP_MS);
    this.resizing = new ResizeObserver(() => this.draw());
    this.resizing.observe(this.canvas);
    this.#draw_button();
  }

  /** What is wanted, as `ask` takes it. */
  wish(number = "") {
    return { played: this.which.value === "played", number: number === "" ? null : Number(number) };
  }

  /** Take {frames, note, number, journal} or {problem, journal}. */
  take({ frames, note, problem, number: episode, journal }) {
    this.another.disabled = false;
    this.which.hidden = !journal;
    if (episode != null) this.number.value = episode;
    if (problem) {
      this.told.textContent = problem;
      this.canvas.hidden = !this.frames;
      return;
    }
    this.canvas.hidden = false;
    this.frames = frames;
    this.note.textContent = episode == null ? note : `episode ${episode} ${note}`;
    this.slider.max = frames.length - 1;
    this.#to(0);
  }

  draw() {
    const frame = this.frames?.[Math.min(this.at, this.frames.length - 1)];
    if (!frame) return;
    this.text.hidden = !frame.text;
    this.image.hidden = !frame.image;
    this.canvas.hidden = !frame.marks;
    if (frame.text) this.text.textContent = frame.text;
    if (frame.image) this.image.src = frame.image;
    if (frame.marks) this.#drawMarks(frame);
    const acts = frame.actions.map((action, agent) => `${agent} ${action ?? "–"}`).slice(0, 8).join(" · ");
    this.told.textContent = `step ${frame.step} of ${frame.steps} · team return ${number(frame.team)}${frame.step ? ` · ${acts}` : ""}`;
    this.canvas.setAttribute("aria-label", this.told.textContent);
  }

  close() {
    clearInterval(this.timer);
    this.resizing.disconnect();
  }

  #ask(number) {
    this.another.disabled = true;
    this.ask(this.wish(number));
  }

  #choose() {
    const played = this.which.value === "played";
    this.number.hidden = !played;
    this.another.textContent = played ? "Newest episode" : "Another episode";
    this.#ask();
  }

  #toggle() {
    this.playing = !this.playing;
    this.#draw_button();
  }

  #draw_button() {
    this.play.textContent = this.playing ? "❚❚" : "▶";
  }

  #to(step) {
    this.at = step;
    this.slider.value = Math.min(step, this.frames.length - 1);
    this.draw();
  }

  #drawMarks({ ground, extent, marks }) {
    const { canvas } = this;
    const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio || 1];
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    if (ground === "grid") this.#drawGrid(pen, Math.min(width, height) - 8, { x: width / 2, y: height / 2 }, extent, marks);
    else this.#drawLine(pen, width, height, extent, marks);
  }

  #drawGrid(pen, side, center, extent, marks) {
    const cell = side / extent;
    const [left, top] = [center.x - side / 2, center.y - side / 2];
    pen.strokeStyle = style("--line");
    pen.lineWidth = 1;
    for (let n = 0; n <= extent; n++) {
      for (const [x1, y1, x2, y2] of [[n, 0, n, extent], [0, n, extent, n]]) {
        pen.beginPath();
        pen.moveTo(left + x1 * cell, top + y1 * cell);
        pen.lineTo(left + x2 * cell, top + y2 * cell);
        pen.stroke();
      }
    }
    const inCells = new Map();
    for (const mark of marks) {
      const [, , row, column] = mark;
      const key = `${row},${column}`;
      inCells.set(key, [...(inCells.get(key) ?? []), mark]);
    }
    for (const here of inCells.values()) {
      const across = Math.ceil(Math.sqrt(here.length));
      const size = cell / across;
      here.forEach(([thing, agent, row, column], n) => {
        const x = left + column * cell + (n % across + 0.5) * size;
        const y = top + row * cell + (Math.floor(n / across) + 0.5) * size;
        drawThing(pen, thing, agent, x, y, Math.min(size * 0.36, 20));
      });
    }
  }

  #drawLine(pen, width, height, extent, marks) {
    const x = (at) => 20 + ((width - 40) * at) / extent;
    const y = height / 2;
    pen.strokeStyle = style("--dim");
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(x(0), y);
    pen.lineTo(x(extent), y);
    pen.stroke();
    const size = Math.max(6, Math.min(13, height / 16));
    const ends = []; // of each level, where its last thing stands
    const sorted = [...marks].sort((one, other) => one[2] - other[2]);
    for (const [thing, agent, at] of sorted) {
      if (thing === "prey") {
        drawThing(pen, thing, agent, x(at), y + size * 2.2, size);
        continue;
      }
      let level = ends.findIndex((end) => x(at) - end >= 2 * size);
      if (level < 0) level = ends.length;
      ends[level] = x(at);
      drawThing(pen, thing, agent, x(at), y - size * 1.4 - level * size * 2.1, size);
    }
  }
}

function drawThing(pen, thing, agent, x, y, size) {
  const color = agent == null ? style("--text") : COLORS[agent % COLORS.length];
  pen.beginPath();
  if (thing === "agent") pen.arc(x, y, size, 0, 2 * Math.PI);
  else if (thing.endsWith("box")) pen.rect(x - size, y - size, 2 * size, 2 * size);
  else if (thing === "landmark") for (const turn of [0, 1, 2, 3]) pen.lineTo(x + size * Math.cos((turn * Math.PI) / 2), y + size * Math.sin((turn * Math.PI) / 2));
  else for (let n = 0; n < 10; n++) pen.lineTo(x + size * (n % 2 ? 0.5 : 1.1) * Math.sin((n * Math.PI) / 5), y - size * (n % 2 ? 0.5 : 1.1) * Math.cos((n * Math.PI) / 5));
  pen.closePath();
  pen.lineWidth = 2;
  pen.strokeStyle = color;
  pen.fillStyle = thing === "agent" ? color : style("--panel");
  if (thing === "open box") pen.setLineDash([3, 3]);
  pen.fill();
  pen.stroke();
  pen.setLineDash([]);
  if (agent == null || size < 5) return;
  pen.fillStyle = thing === "agent" ? "#fff" : color;
  pen.font = `600 ${Math.max(8, size)}px ${style("--font")}`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(agent, x, y + 0.5);
}
