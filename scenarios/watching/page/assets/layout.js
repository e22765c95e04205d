// Where nodes stand: by the topology where it has a shape, else by forces. Places are in 0..1.

/** Places of the nodes of a graph; deterministic. */
export function layout(topology, nodes, edges) {
  const kind = topology.kind;
  if (nodes === 1) return [{ x: 0.5, y: 0.5 }];
  if (kind === "grid") {
    const { rows, columns } = topology;
    const at = (value, all) => (all === 1 ? 0.5 : value / (all - 1));
    return fill(nodes, (n) => ({ x: at(n % columns, columns), y: at(Math.floor(n / columns), rows) }));
  }
  if (kind === "line") return fill(nodes, (n) => ({ x: n / (nodes - 1), y: 0.5 + 0.12 * Math.sin((n * Math.PI) / 2) }));
  if (kind === "star") {
    const center = topology.center ?? 0;
    let outside = 0;
    return fill(nodes, (n) => (n === center ? { x: 0.5, y: 0.5 } : onCircle(outside++, nodes - 1)));
  }
  const places = fill(nodes, (n) => onCircle(n, nodes));
  if (kind === "ring" || kind === "complete" || kind === "proximity" || nodes <= 4) return places;
  return fitted(relaxed(places, edges, nodes > 100 ? 50 : 240));
}

function fill(nodes, place) {
  return Array.from({ length: nodes }, (_, n) => place(n));
}

function onCircle(n, all) {
  const angle = (2 * Math.PI * n) / all - Math.PI / 2;
  return { x: 0.5 + 0.5 * Math.cos(angle), y: 0.5 + 0.5 * Math.sin(angle) };
}

/** Let edges pull and nodes push, for some steps (Fruchterman and Reingold 1991). */
export function relaxed(places, edges, steps) {
  const found = places.map((place) => ({ ...place }));
  const ideal = 0.7 / Math.sqrt(found.length);
  for (let step = 0; step < steps; step++) relax(found, edges, ideal, 0.1 * (1 - step / steps));
  return found;
}

/** One step; returns how far the node went that went farthest. */
export function relax(places, edges, ideal, most) {
  const pushes = places.map(() => ({ x: 0, y: 0 }));
  for (let one = 0; one < places.length; one++) {
    for (let other = one + 1; other < places.length; other++) {
      push(places, pushes, one, other, (distance) => (ideal * ideal) / distance);
    }
    pushes[one].x -= (places[one].x - 0.5) * ideal;
    pushes[one].y -= (places[one].y - 0.5) * ideal;
  }
  for (const [one, other] of edges) push(places, pushes, one, other, (distance) => -(distance * distance) / ideal);
  let farthest = 0;
  places.forEach((place, n) => {
    const length = Math.hypot(pushes[n].x, pushes[n].y) || 1e-9;
    const step = Math.min(length, most);
    place.x += (pushes[n].x / length) * step;
    place.y += (pushes[n].y / length) * step;
    farthest = Math.max(farthest, step);
  });
  return farthest;
}

function push(places, pushes, one, other, force) {
  const x = places[one].x - places[other].x || 1e-3;
  const y = places[one].y - places[other].y;
  const distance = Math.max(Math.hypot(x, y), 1e-3);
  const strength = force(distance) / distance;
  pushes[one].x += x * strength;
  pushes[one].y += y * strength;
  pushes[other].x -= x * strength;
  pushes[other].y -= y * strength;
}

/** The same places, spread over all of 0..1. */
export function fitted(places) {
  const xs = places.map((place) => place.x);
  const ys = places.map((place) => place.y);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const size = Math.max(Math.max(...xs) - left, Math.max(...ys) - top) || 1;
  const [wide, high] = [(Math.max(...xs) - left) / size, (Math.max(...ys) - top) / size];
  return places.map(({ x, y }) => ({ x: (x - left) / size + (1 - wide) / 2, y: (y - top) / size + (1 - high) / 2 }));
}
