import { element } from "./dom.js";

// A table on the page that shows a list.

// The columns, each with its title.
export const flight = {
  id: "Flight", departs_at: "Departs", origin: "From", destination: "To", delay_minutes: "Delay", distance_miles: "Miles", note: "Note",
};
export const airport = {
  iata: "Code", name: "Name", city: "City", state: "State", country: "Country", latitude: "Latitude", longitude: "Longitude",
};

const numbers = new Set(["id", "delay_minutes", "distance_miles", "latitude", "longitude"]);
const side = (column) => (numbers.has(column) ? "number" : "");

const texts = {
  departs_at: (value) => value?.replace("T", " ").replace(/(:00)?Z$/, ""),
  latitude: (value) => value?.toFixed(4),
  longitude: (value) => value?.toFixed(4),
};

function cell(item, column) {
  const value = item[column];
  const late = column === "delay_minutes" && value >= 30 ? " late" : "";
  return element("td", side(column) + late, texts[column]?.(value) ?? value ?? "");
}

// Table shows items in a <table>. pick is called with the item of a row that is
// clicked, or entered: the arrow keys go from row to row.
export class Table {
  rows = new WeakMap(); // item -> its tr
  items = new WeakMap(); // tr -> its item

  constructor(table, pick) {
    Object.assign(this, { table, pick, body: table.tBodies[0] });
    this.body.onclick = ({ target }) => this.picked(target.closest("tr"));
    this.body.onkeydown = (event) => this.key(event);
    this.body.addEventListener("focusin", ({ target }) => this.reach(target));
  }

  // head says which columns there are, and what is in the cells of their heads: their
  // titles, or what title makes of them.
  head(columns, title = (text) => text) {
    this.columns = Object.keys(columns);
    const head = ([column, text]) => Object.assign(element("th", side(column), "", title(text, column)), { scope: "col" });
    const heads = Object.entries(columns).map(head);
    this.table.querySelector("colgroup").replaceChildren(...this.columns.map((column) => element("col", column)));
    this.table.tHead.rows[0].replaceChildren(...heads);
    this.body.replaceChildren();
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
    this.refocus(focus);
  }

  row(item, fresh) {
    const tr = element("tr", fresh ? "fresh" : "", "", ...this.columns.map((column) => cell(item, column)));
    tr.tabIndex = -1;
    this.rows.set(item, tr);
    this.items.set(tr, item);
    return tr;
  }

  picked(tr) {
    if (tr) this.pick?.(this.items.get(tr));
  }

  key(event) {
    const { key, target: tr } = event;
    const rows = this.body.rows;
    const to = { ArrowDown: tr.nextSibling, ArrowUp: tr.previousSibling, Home: rows[0], End: rows[rows.length - 1] }[key];
    if (key === "Enter") this.picked(tr);
    else if (!to) return;
    to?.focus();
    event.preventDefault();
  }

  // focus notes which row has the focus: its place, and the first column of its item.
  focus() {
    const tr = this.body.contains(document.activeElement) && document.activeElement;
    return tr && { at: tr.sectionRowIndex, key: this.items.get(tr)[this.columns[0]] };
  }

  // refocus gives the focus to the row that took the place of the one that had it.
  refocus(was) {
    const { rows } = this.body;
    if (was && !this.body.contains(document.activeElement)) {
      const same = [...rows].find((tr) => this.items.get(tr)[this.columns[0]] === was.key);
      (same ?? rows[Math.min(was.at, rows.length - 1)])?.focus({ preventScroll: true });
    }
    if (!this.reached?.isConnected) this.reach(rows[0]);
  }

  // reach makes a row the one to which the tab key leads.
  reach(tr) {
    if (this.reached) this.reached.tabIndex = -1;
    if (tr) tr.tabIndex = 0;
    this.reached = tr;
  }
}
