// The three pages of `foretell watch`, by name.
import { RunPage } from "./run_page.js";
import { ComparePage } from "./compare_page.js";
import { ListPage } from "./list_page.js";

const PAGES = { run: RunPage, compare: ComparePage, list: ListPage };

/** Open a page in an element; `emit(name, value)` tells the server. */
export function open(kind, host, emit) {
  return new PAGES[kind](host, emit);
}
