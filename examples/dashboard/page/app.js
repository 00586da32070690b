import { Account } from "./account.js";
import { $, element, integer, toast } from "./dom.js";
import { Explorer } from "./explorer.js";
import { Pages } from "./pages.js";
import { Peer } from "./socksync.js";
import { Table } from "./table.js";

const average = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

// With ?version=1 the page speaks version 1.
const versions = new URLSearchParams(location.search).get("version") === "1" ? ["socksync.v1"] : undefined;

const account = new Account(() => {
  presence();
  explorer.head();
  pages.show(pages.name);
}, () => explorer.table.relabel());

const peer = account.peer = new Peer(account.url, (state, version) => {
  $("status").dataset.state = $("status").textContent = state;
  $("status").title = version ? `protocol version ${version}` : "";
  if (!version) return;
  explorer.speak(version);
  account.speak(version);
}, versions);

peer.onRefused = () => {
  toast("The server does not let anybody of that name in.");
  account.enter("");
};

// What the server tells.

peer.followVar("board", ({ held, value: board }) => {
  if (!held) return;
  $("board").hidden = !board;
  $("title").textContent = board?.title ?? "";
  $("message").textContent = board?.message ?? "";
});

peer.followVar("totals", ({ value: totals }) => {
  if (!totals) return; // it could not be read
  $("flights").textContent = integer.format(totals.flights);
  $("late").textContent = integer.format(totals.late);
  $("average").textContent = totals.average_delay === null ? "–" : average.format(totals.average_delay);
});

peer.followList("viewers", { page: 0, page_size: 20 }, ({ items, total }) => {
  const more = total > items.length ? [element("li", "", `and ${total - items.length} more`)] : [];
  $("viewers").replaceChildren(...items.map((v) => element("li", "", v.name.trim() || "somebody")), ...more);
});

// What we tell the server.

if (!account.user) $("name").value = localStorage.getItem("name") ?? `guest ${100 + Math.floor(900 * Math.random())}`;
const presence = () => peer.provideVar("presence", { name: $("name").value });
$("name").oninput = presence;
$("name").onchange = () => localStorage.setItem("name", $("name").value);
presence();

peer.provideFunction("notice", ({ text }) => {
  toast(String(text));
  return true;
});

// The tables.

const pick = ({ flight_id, id = flight_id }) => { if (id) $("flight").value = id; };
const explorer = new Explorer(peer, account, pick);

const worst = new Table($("worst").querySelector("table"), pick);
worst.head({ id: "Flight", origin: "From", destination: "To", delay_minutes: "Delay" });
peer.followList("delays", { page: 0, page_size: 15 }, (list) => {
  worst.draw(list);
  $("delayed").textContent = list.problem ?? `The first of ${integer.format(list.total)} that are half an hour late.`;
});

const pages = new Pages(peer, account, pick);
pages.show("departures");

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
