import { offerAirports } from "./airports.js";
import { filterOf, sortBy } from "./choice.js";
import { $, element, integer } from "./dom.js";
import { fullFlight, Table } from "./table.js";

const size = 100; // rows at first, and how many more the end of the scroll brings
const most = 1000; // the list's maximum window
const typing = 200; // ms after the last key until what was typed counts

const usual = "departs_at"; // what the list is sorted by of itself

// Explorer shows the list flights_full: sorted, filtered and searched as one likes, in a
// window that grows as one scrolls.
export class Explorer {
  sort = [usual]; // columns, with a - for descending

  constructor(peer, account, pick) {
    Object.assign(this, { peer, account });
    this.table = new Table($("rows").querySelector("table"), pick);
    const near = { root: $("rows"), rootMargin: "600px" };
    this.end = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && this.more(), near);
    this.list = peer.followList("flights_full", this.choice(), () => this.draw());
    this.listen();
    this.head();
  }

  // head is called again when somebody else may book.
  head() {
    this.table.head(fullFlight, { title: (title, column) => this.button(title, column), action: this.account.action });
    this.speak(this.peer.version);
    this.drawSort();
    this.draw();
  }

  listen() {
    $("choice").oninput = () => this.chooseIn(typing);
    $("choice").onreset = () => this.chooseIn(0); // when it is done
    $("choice").onsubmit = (event) => {
      event.preventDefault();
      this.chooseIn(0);
    };
    $("choice").addEventListener("focusin", ({ target }) => target.list && this.offerAirports());
    $("pause").onclick = () => (this.list.paused ? this.list.resume() : this.list.pause());
    $("further").onclick = () => this.show({ ...this.list.choice, after: this.lastKey(), page_size: size });
    $("start").onclick = () => this.choose();
  }

  offerAirports() {
    this.offerAirports = () => {}; // once
    offerAirports(this.peer, $("airports"));
  }

  // speak is told the version of a new connection, before anything is asked for; 0 is none.
  speak(version) {
    for (const control of $("explorer").querySelectorAll("fieldset, th button")) control.disabled = version === 1;
    if ((version === 1) !== ("page" in this.list.choice)) this.list.choice = this.choice();
  }

  // choice is what the form and the heads of the columns say. Version 1 knows pages only.
  choice() {
    if (this.peer.version === 1) return { page: 0, page_size: size };
    const search = $("search").value.trim() || undefined;
    const sort = this.sort.join() === usual ? undefined : this.sort;
    return { after: null, page_size: size, sort, filter: filterOf($("choice")), search };
  }

  choose() {
    clearTimeout(this.typed);
    this.show(this.choice());
  }

  show(choice) {
    $("rows").scrollTop = 0;
    this.list.choose(choice);
  }

  chooseIn(ms) {
    clearTimeout(this.typed);
    this.typed = setTimeout(() => this.choose(), ms);
  }

  // more makes the window greater if it is full and there is more.
  more() {
    const { items, choice, total } = this.list;
    const full = items.length === choice.page_size && items.length < total;
    if (full && items.length < most) this.list.grow(Math.min(items.length + size, most));
  }

  lastKey() {
    const last = this.list.items.at(-1);
    return this.list.key.map((column) => last[column]);
  }

  // button is what is in the head of a column.
  button(title, column) {
    const b = Object.assign(element("button", "", title), { type: "button", title: "Sort by this; with Shift, by this as well" });
    b.dataset.column = column;
    b.onclick = ({ shiftKey }) => {
      this.sort = sortBy(this.sort, column, shiftKey);
      this.drawSort();
      this.choose();
    };
    return b;
  }

  drawSort() {
    for (const b of $("rows").querySelectorAll("th button")) {
      const at = this.sort.findIndex((column) => column.replace("-", "") === b.dataset.column);
      b.parentElement.setAttribute("aria-sort", at < 0 ? "none" : this.sort[at].startsWith("-") ? "descending" : "ascending");
      b.dataset.rank = at < 0 || this.sort.length === 1 ? "" : at + 1;
    }
  }

  draw() {
    const { items, held, problem, asked, growth } = this.list;
    this.table.draw(this.list);
    $("rows").setAttribute("aria-busy", asked !== null && asked !== growth);
    $("trouble").textContent = problem ?? (held && items.length === 0 ? "No flight is like that." : "");
    this.drawFound();
    this.drawPause();
    this.drawEnd();
  }

  drawFound() {
    const { items, total, after, held } = this.list;
    const rows = after ? `${integer.format(items.length)} behind ${after.join()}` : `1–${integer.format(items.length)}`;
    $("found").textContent = held ? `${items.length ? `${rows} of ` : ""}${integer.format(total)} flights` : "–";
    $("start").hidden = !after;
  }

  drawPause() {
    const { held, paused, pending, pendingTotal, total } = this.list;
    const now = (pendingTotal ?? total) === total ? "" : `, ${integer.format(pendingTotal)} flights by now`;
    $("pending").textContent = paused ? `${integer.format(pending)} pending${now}` : "";
    $("pause").textContent = paused ? "Resume" : "Pause";
    $("pause").disabled = !held || this.peer.version === 1;
  }

  drawEnd() {
    const { items, choice, shown, after, total } = this.list;
    const full = items.length > 0 && items.length >= choice.page_size && (after || items.length < total);
    const limit = full && items.length >= most;
    $("limit").textContent = full ? this.limit(limit) : "";
    $("further").hidden = !limit || shown !== choice;
    this.end.unobserve($("end")); // to be told again where it is
    this.end.observe($("end"));
  }

  // limit says why there are no more rows.
  limit(reached) {
    if (this.peer.version === 1) return "This server speaks version 1, which shows no more, and in one order only.";
    if (reached) return "This is the most that one window shows.";
    return this.list.paused ? "Resume to see more." : "…";
  }
}
