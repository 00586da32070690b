import { $, element, integer } from "./dom.js";
import { airport, flight, myFlight, originStats, Table } from "./table.js";

// The lists that can be looked through page by page.
const lists = {
  departures: { title: "Departures", columns: flight },
  delays: { title: "Delays", columns: flight },
  longest: { title: "Longest", columns: flight },
  remarks: { title: "Remarks", columns: flight },
  airports: { title: "Airports", columns: airport },
  by_origin: { title: "By origin", columns: originStats },
  my_flights: { title: "My flights", columns: myFlight, personal: true, empty: "You have booked no flights: book some above." },
};

// What is shown of a list that is for users only when nobody has signed in.
const nothing = {
  items: [], total: 0, held: false, problem: "Sign in to see the flights that you have booked.", fresh: new Set(),
  choice: { page: 0 }, choose() {}, close() {},
};

// Pages shows a list of those that there are, and a page of it.
export class Pages {
  constructor(peer, account, pick) {
    Object.assign(this, { peer, account });
    this.table = new Table($("lists").querySelector("table"), pick);
    $("names").append(...Object.entries(lists).map(([name, { title }]) => this.button(name, title)));
    $("first").onclick = () => this.go(0);
    $("previous").onclick = () => this.go(this.page - 1);
    $("next").onclick = () => this.go(this.page + 1);
    $("last").onclick = () => this.go(this.pages - 1);
    $("size").onchange = () => this.go(0);
    $("page").onchange = () => this.go((Number.parseInt($("page").value, 10) || 1) - 1);
  }

  button(name, title) {
    const b = element("button", "", title);
    b.dataset.list = name;
    b.onclick = () => this.show(name);
    return b;
  }

  get size() {
    return Number($("size").value);
  }

  get page() {
    return this.list.choice.page;
  }

  get pages() {
    return Math.max(1, Math.ceil(this.list.total / this.size));
  }

  show(name) {
    this.list?.close();
    this.name = $("lists").dataset.shown = name;
    const { columns, personal } = lists[name];
    this.table.head(columns, { action: personal && this.account.action });
    $("problem").textContent = "";
    for (const b of $("names").children) b.setAttribute("aria-pressed", b.dataset.list === name);
    const choice = { page: 0, page_size: this.size };
    this.list = personal && !this.account.user ? nothing : this.peer.followList(name, choice, () => this.draw());
    if (this.list === nothing) this.draw();
  }

  go(page) {
    this.list.choose({ page: Math.min(Math.max(0, page), this.pages - 1), page_size: this.size });
    this.drawPager();
    $("page").value = this.page + 1;
  }

  draw() {
    const { items, held, problem } = this.list;
    this.table.draw(this.list);
    const { empty = "There are no rows here." } = lists[this.name];
    $("problem").textContent = problem ?? (held && items.length === 0 ? empty : "");
    this.drawPager();
  }

  drawPager() {
    $("count").textContent = this.list.held ? `${integer.format(this.list.total)} rows` : "–";
    $("pages").textContent = `of ${integer.format(this.pages)}`;
    if (document.activeElement !== $("page")) $("page").value = this.page + 1;
    $("first").disabled = $("previous").disabled = this.page === 0;
    $("next").disabled = $("last").disabled = this.page + 1 >= this.pages;
  }
}
