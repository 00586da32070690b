import { $, element, integer } from "./dom.js";
import { Explorer } from "./explorer.js";
import { Pages } from "./pages.js";
import { Peer } from "./socksync.js";
import { Table } from "./table.js";

const average = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

// With ?version=1 the page speaks version 1.
const versions = new URLSearchParams(location.search).get("version") === "1" ? ["socksync.v1"] : undefined;

const peer = new Peer(`${location.protocol.replace("http", "ws")}//${location.host}/ws/socksync/`, (state, version) => {
  $("status").dataset.state = $("status").textContent = state;
  $("status").title = version ? `protocol version ${version}` : "";
  if (version) explorer.speak(version);
}, versions);

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

// The tables.

const pick = ({ id }) => { if (id) $("flight").value = id; };
const explorer = new Explorer(peer, pick);

const worst = new Table($("worst").querySelector("table"), pick);
worst.head({ id: "Flight", origin: "From", destination: "To", delay_minutes: "Delay" });
peer.followList("delays", { page: 0, page_size: 15 }, (list) => {
  worst.draw(list);
  $("delayed").textContent = list.problem ?? `The first of ${integer.format(list.total)} that are half an hour late.`;
});

const pages = new Pages(peer, pick);
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
