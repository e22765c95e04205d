// Light or dark: as the system has it, until a user says otherwise.
import { h, restyle } from "./dom.js";

const KEY = "foretell-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

function apply() {
  const chosen = localStorage.getItem(KEY) ?? (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = chosen;
  restyle();
  for (const listener of listeners) listener();
}

dark.addEventListener("change", apply);
apply();

/** Call something whenever another theme is shown; returns what ends that. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The button that changes it. */
export function themeButton() {
  const press = () => {
    localStorage.setItem(KEY, document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    apply();
  };
  return h("button", { class: "quiet", type: "button", title: "Light or dark", "aria-label": "Light or dark", onclick: press }, "◐");
}
