import { element } from "./dom.js";

// A table on the page that shows a list.

// The columns, each with its title.
export const flight = {
  id: "Flight", departs_at: "Departs", origin: "From", destination: "To", delay_minutes: "Delay", distance_miles: "Miles", note: "Note",
};
export const fullFlight = {
  id: "Flight", departs_at: "Departs", origin: "From", origin_name: "Origin", destination: "To", destination_name: "Destination",
  delay_minutes: "Delay", distance_miles: "Miles", note: "Note",
};
export const myFlight = {
  flight_id: "Flight", departs_at: "Departs", origin: "From", destination: "To", delay_minutes: "Delay", distance_miles: "Miles", note: "Note",
};
export const originStats = { origin: "From", flights: "Flights", late: "Late", average_delay: "Avg. delay" };
export const airport = {
  iata: "Code", name: "Name", city: "City", state: "State", country: "Country", latitude: "Latitude", longitude: "Longitude",
};

const numbers = new Set([
  "id", "flight_id", "delay_minutes", "distance_miles", "latitude", "longitude", "flights", "late", "average_delay",
]);
const side = (column) => (numbers.has(column) ? "number" : "");

const texts = {
  departs_at: (value) => value?.replace("T", " ").replace(/(:00)?Z$/, ""),
  latitude: (value) => value?.toFixed(4),
  longitude: (value) => value?.toFixed(4),
  average_delay: (value) => value?.toFixed(2),
};

// What a cell tells of itself that it has no room for.
const titles = {
  origin_name: ({ origin_name, origin_city }) => [origin_name, origin_city].filter(Boolean).join(", "),
  destination_name: ({ destination_name, destination_city }) => [destination_name, destination_city].filter(Boolean).join(", "),
};

function cell(item, column) {
  const value = item[column];
  const late = column === "delay_minutes" && value >= 30 ? " late" : "";
  const td = element("td", side(column) + late, texts[column]?.(value) ?? value ?? "");
  td.title = titles[column]?.(item) ?? "";
  return td;
}

// Table shows items in a <table>. pick is called with the item of a row that is
// clicked, or entered: the arrow keys go from row to row. A row may end with a button.
export class Table {
  items = new WeakMap(); // tr -> its item

  constructor(table, pick) {
    Object.assign(this, { table, pick, body: table.tBodies[0] });
    this.body.onclick = ({ target }) => this.picked(target.closest("tr"));
    this.body.onkeydown = (event) => this.key(event);
    this.body.addEventListener("focusin", ({ target }) => this.reach(target));
  }

  // head says which columns there are, and what is in the cells of their heads: their
  // titles, or what title makes of them. action is what the buttons do, if there are any:
  // its title, the label of an item's button and what it is about, and how to run it.
  head(columns, { title = (text) => text, action } = {}) {
    Object.assign(this, { columns: Object.keys(columns), action });
    this.rows = new WeakMap(); // item -> its tr
    const head = (kind, ...inside) => Object.assign(element("th", kind, "", ...inside), { scope: "col" });
    const heads = Object.entries(columns).map(([column, text]) => head(side(column), title(text, column)));
    if (action) heads.push(head("action", element("span", "unseen", action.title)));
    const cols = action ? [...this.columns, "action"] : this.columns;
    this.table.querySelector("colgroup").replaceChildren(...cols.map((column) => element("col", column)));
    this.table.tHead.rows[0].replaceChildren(...heads);
    this.body.replaceChildren();
  }

  // relabel says anew what the buttons do.
  relabel() {
    if (this.action) for (const tr of this.body.rows) this.label(tr.querySelector("button"), this.items.get(tr));
  }

  label(button, item) {
    const label = this.action.label(item);
    if (button.textContent === label) return;
    button.textContent = label;
    button.setAttribute("aria-label", `${label} ${this.action.about(item)}`);
  }

  button(item) {
    const button = Object.assign(element("button"), { type: "button", tabIndex: -1 });
    button.onclick = (event) => {
      event.stopPropagation();
      this.action.run(item);
    };
    this.label(button, item);
    return element("td", "action", "", button);
  }

  // draw shows the items of a list. Rows that stay are left alone, so that what is
  // selected or flashes goes on to be.
  draw({ items, fresh }) {
    const focus = this.focus();
    const trs = items.map((item) => this.rows.get(item) ?? this.row(item, fresh.has(item)));
    const stay = new Set(trs);
    for (const tr of [...this.body.rows]) if (!stay.has(tr)) tr.remove();
    let next = this.body.firstChild;
    for (const tr of trs) {
      if (tr === next) next = next.nextSibling;
      else this.body.insertBefore(tr, next);
    }
    fresh.clear();
    this.relabel();
    this.refocus(focus);
  }

  row(item, fresh) {
    const tr = element("tr", fresh ? "fresh" : "", "", ...this.columns.map((column) => cell(item, column)));
    tr.tabIndex = -1;
    if (this.action) tr.append(this.button(item));
    this.rows.set(item, tr);
    this.items.set(tr, item);
    return tr;
  }

  picked(tr) {
    if (tr) this.pick?.(this.items.get(tr));
  }

  key(event) {
    const { key, target } = event;
    const tr = target.closest("tr");
    const rows = this.body.rows;
    const to = { ArrowDown: tr.nextSibling, ArrowUp: tr.previousSibling, Home: rows[0], End: rows[rows.length - 1] }[key];
    if (key === "Enter" && target === tr) this.picked(tr);
    else if (!to) return;
    handle(to, target !== tr)?.focus();
    event.preventDefault();
  }

  // focus notes which row has the focus, or its button: its place, and the first column of
  // its item.
  focus() {
    const at = document.activeElement;
    const tr = this.body.contains(at) && at.closest("tr");
    return tr && { at: tr.sectionRowIndex, key: this.items.get(tr)[this.columns[0]], button: at !== tr };
  }

  // refocus gives the focus to the row that took the place of the one that had it.
  refocus(was) {
    const { rows } = this.body;
    if (was && !this.body.contains(document.activeElement)) {
      const same = [...rows].find((tr) => this.items.get(tr)[this.columns[0]] === was.key);
      handle(same ?? rows[Math.min(was.at, rows.length - 1)], was.button)?.focus({ preventScroll: true });
    }
    if (!this.reached?.isConnected) this.reach(rows[0]);
  }

  // reach makes a row, with its button, the one to which the tab key leads.
  reach(inside) {
    const tr = inside?.closest("tr");
    if (this.reached) for (const part of parts(this.reached)) part.tabIndex = -1;
    if (tr) for (const part of parts(tr)) part.tabIndex = 0;
    this.reached = tr;
  }
}

// parts are what can have the focus in a row.
const parts = (tr) => [tr, ...tr.querySelectorAll("button")];

// handle is the row, or its button.
const handle = (tr, button) => (button && tr?.querySelector("button")) || tr;
