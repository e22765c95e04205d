// Small words for making elements and texts of numbers.

/** An element with attributes (`on...` are listeners) and children. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

/** Put a text in an element, if it is not there already. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A panel with a heading; `.body` is what is in it. */
export function panel(name, title, ...extras) {
  const body = h("div", { class: "body" });
  const section = h(
    "section",
    { class: `panel ${name}`, "aria-label": title },
    h("header", {}, h("h2", {}, title), ...extras),
    body,
  );
  section.body = body;
  return section;
}

export function number(value, digits = 2) {
  if (value == null) return "–";
  const size = Math.abs(value);
  const kept = size >= 1000 ? 0 : size >= 100 ? Math.min(digits, 1) : digits;
  return value.toFixed(kept).replace("-", "−");
}

export function bytes(value) {
  if (value == null) return "–";
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000 || unit === "GB") return `${value.toFixed(value < 10 && unit !== "B" ? 1 : 0)} ${unit}`;
    value /= 1000;
  }
}

export function count(value) {
  if (value == null) return "–";
  return value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : value >= 1e4 ? `${(value / 1e3).toFixed(0)} k` : `${value}`;
}

export function seconds(value) {
  if (value == null) return "–";
  return value < 60 ? `${value} s` : value < 3600 ? `${Math.floor(value / 60)} min` : `${Math.floor(value / 3600)} h`;
}

export function share(part, all) {
  return all ? `${((100 * part) / all).toFixed(part === all || part === 0 ? 0 : 1)}%` : "–";
}

const styles = new Map();

/** A value of the style sheet, such as "--line", as it is in the theme that is shown. */
export function style(name) {
  if (!styles.has(name)) styles.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return styles.get(name);
}

/** Forget the values: another theme is shown. */
export function restyle() {
  styles.clear();
}
