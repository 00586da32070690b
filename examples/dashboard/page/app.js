import { Peer } from "./socksync.js";

const $ = (id) => document.getElementById(id);
const tbody = document.querySelector("tbody");
const integer = new Intl.NumberFormat("en-US");
const average = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

// The lists and their columns, each with a title.
const flight = { id: "Flight", departs_at: "Departs", origin: "From", destination: "To", delay_minutes: "Delay", distance_miles: "Miles", note: "Note" };
const airport = { iata: "Code", name: "Name", city: "City", state: "State", country: "Country", latitude: "Latitude", longitude: "Longitude" };
const lists = {
  departures: { title: "Departures", columns: flight },
  delays: { title: "Delays", columns: flight },
  longest: { title: "Longest", columns: flight },
  remarks: { title: "Remarks", columns: flight },
  airports: { title: "Airports", columns: airport },
};
const numbers = new Set(["id", "delay_minutes", "distance_miles", "latitude", "longitude"]);

function element(tag, className = "", text = "", ...children) {
  const e = Object.assign(document.createElement(tag), { className, textContent: text });
  e.append(...children);
  return e;
}

const peer = new Peer(`${location.protocol.replace("http", "ws")}//${location.host}/ws/socksync/`, (state) => {
  $("status").dataset.state = $("status").textContent = state;
});

// What the server tells.

peer.followVar("board", ({ held, value: board }) => {
  $("board").hidden = held && !board;
  $("title").textContent = board?.title ?? "";
  $("message").textContent = board?.message ?? "";
});

peer.followVar("totals", ({ value: totals }) => {
  if (!totals) return; // it could not be read
  $("flights").textContent = integer.format(totals.flights);
  $("late").textContent = integer.format(totals.late);
  $("average").textContent = totals.average_delay === null ? "–" : average.format(totals.average_delay);
});

peer.followList("viewers", 0, 20, ({ items, total }) => {
  const more = total > items.length ? [element("li", "", `and ${total - items.length} more`)] : [];
  $("viewers").replaceChildren(...items.map((v) => element("li", "", v.name.trim() || "somebody")), ...more);
});

// What we tell the server.

$("name").value = localStorage.getItem("name") ?? `guest ${100 + Math.floor(900 * Math.random())}`;
const presence = () => peer.provideVar("presence", { name: $("name").value });
$("name").oninput = presence;
$("name").onchange = () => localStorage.setItem("name", $("name").value);
$("me").onsubmit = (event) => event.preventDefault();
presence();

peer.provideFunction("notice", ({ text }) => {
  const toast = element("p", "", String(text));
  $("toasts").append(toast);
  setTimeout(() => toast.remove(), 8000);
  return true;
});

// The table.

let list;
const rows = new WeakMap(); // item -> its tr
const pages = () => Math.max(1, Math.ceil(list.total / list.size));

function cell(item, column) {
  const value = item[column];
  let text = value;
  if (column === "departs_at") text = value?.replace("T", " ").replace(/(:00)?Z$/, "");
  if (column === "latitude" || column === "longitude") text = value?.toFixed(4);
  const late = column === "delay_minutes" && value >= 30 ? " late" : "";
  return element("td", (numbers.has(column) ? "number" : "") + late, text ?? "");
}

function row(item) {
  const cells = Object.keys(lists[list.name].columns).map((column) => cell(item, column));
  const tr = element("tr", list.fresh.has(item) ? "fresh" : "", "", ...cells);
  if (item.id) tr.onclick = () => { $("flight").value = item.id; };
  rows.set(item, tr);
  return tr;
}

// Rows that stay are left alone, so that what is selected or flashes goes on to be.
function draw() {
  const { items, fresh, held, error } = list;
  const trs = items.map((item) => rows.get(item) ?? row(item));
  const stay = new Set(trs);
  for (const tr of [...tbody.children]) if (!stay.has(tr)) tr.remove();
  trs.forEach((tr, i) => tr === tbody.children[i] || tbody.insertBefore(tr, tbody.children[i]));
  fresh.clear();
  $("problem").textContent = error ?? (held && items.length === 0 ? "There are no rows here." : "");
  drawPager();
}

function drawPager() {
  $("count").textContent = `${integer.format(list.total)} rows`;
  $("pages").textContent = `of ${integer.format(pages())}`;
  if (document.activeElement !== $("page")) $("page").value = list.page + 1;
  $("first").disabled = $("previous").disabled = list.page === 0;
  $("next").disabled = $("last").disabled = list.page + 1 >= pages();
}

function show(name) {
  list?.close();
  const columns = Object.entries(lists[name].columns);
  document.querySelector("colgroup").replaceChildren(...columns.map(([column]) => element("col", column)));
  document.querySelector("thead tr").replaceChildren(...columns.map(([column, title]) => element("th", numbers.has(column) ? "number" : "", title)));
  tbody.replaceChildren();
  $("problem").textContent = "";
  for (const b of $("lists").children) b.setAttribute("aria-pressed", b.dataset.list === name);
  list = peer.followList(name, 0, Number($("size").value), draw);
}

for (const [name, { title }] of Object.entries(lists)) {
  const b = element("button", "", title);
  b.dataset.list = name;
  b.onclick = () => show(name);
  $("lists").append(b);
}

function go(page) {
  list.go(Math.min(Math.max(0, page), pages() - 1), Number($("size").value));
  drawPager();
  $("page").value = list.page + 1;
}
$("first").onclick = () => go(0);
$("previous").onclick = () => go(list.page - 1);
$("next").onclick = () => go(list.page + 1);
$("last").onclick = () => go(pages() - 1);
$("size").onchange = () => go(0);
$("page").onchange = () => go((Number.parseInt($("page").value, 10) || 1) - 1);

// The forms.

function submit(id, run) {
  const out = $(id).querySelector("output");
  $(id).onsubmit = async (event) => {
    event.preventDefault();
    out.textContent = "…";
    out.textContent = await run().catch((error) => error.message);
  };
}

submit("delay", async () => {
  const { id, delay_minutes: minutes } = await peer.call("delay_flight", { id: Number($("flight").value), minutes: Number($("minutes").value) });
  return `Flight ${id}: ${minutes} minutes.`;
});

submit("notice", async () => {
  const told = await peer.call("broadcast_notice", { text: $("text").value });
  return `Shown to ${told}.`;
});

show("departures");
