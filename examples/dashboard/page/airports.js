import { element } from "./dom.js";

const size = 100; // the most that a page of the list holds

// offerAirports fills a <datalist> with all airports, live. They are pages of a
// hundred: a connection follows as many windows of a list as it likes.
export function offerAirports(peer, datalist) {
  const pages = [];
  const draw = ({ total }) => {
    while (pages.length * size < total) pages.push(peer.followList("airports", { page: pages.length, page_size: size }, draw));
    datalist.replaceChildren(...pages.flatMap(({ items }) => items.map(option)));
  };
  pages.push(peer.followList("airports", { page: 0, page_size: size }, draw));
}

function option({ iata, name, city, state }) {
  return Object.assign(element("option", "", [name, city, state].filter(Boolean).join(", ")), { value: iata });
}
