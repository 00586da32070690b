import { $, toast } from "./dom.js";

const most = 1000; // the list's maximum window
const size = 100; // rows at first, and how many more each get brings

// Account is who has signed in and what they have booked. The name is the whole of it: this
// is a demo. It is in the page's own address, and goes with the connection's.
export class Account {
  user = new URLSearchParams(location.search).get("user")?.trim() ?? "";
  booked = new Set(); // numbers of flights

  // onUser is called when somebody else has signed in, or nobody any more; onBooked when
  // something else is booked.
  constructor(onUser, onBooked) {
    Object.assign(this, { onUser, onBooked });
    $("me").onsubmit = (event) => {
      event.preventDefault();
      this.enter(this.user ? "" : $("name").value.trim());
    };
    this.drawUser();
  }

  // url is where the connection of this user goes.
  get url() {
    const query = this.user ? `?user=${encodeURIComponent(this.user)}` : "";
    return `${location.protocol.replace("http", "ws")}//${location.host}/ws/socksync/${query}`;
  }

  // speak is told the version of a new connection. Version 1 shows a list only once: that is
  // for others to do.
  speak(version) {
    if (version === 1 || !this.user) this.leave();
    else if (!this.list) this.follow();
  }

  follow() {
    this.list = this.peer.followList("my_flights", { after: null, page_size: size }, ({ items, total }) => {
      this.booked = new Set(items.map((flight) => flight.flight_id));
      if (items.length < total && items.length < most) this.list.grow(Math.min(items.length + size, most));
      this.onBooked();
    });
  }

  leave() {
    this.list?.close();
    this.list = null;
    this.booked.clear();
  }

  // enter has somebody sign in, or out. Nothing that was shown of another user stays.
  enter(user) {
    if (user === this.user) return;
    this.user = user;
    const address = new URL(location);
    if (user) address.searchParams.set("user", user);
    else address.searchParams.delete("user");
    history.replaceState(null, "", address);
    this.leave();
    this.peer.move(this.url);
    this.drawUser();
    this.onUser();
  }

  drawUser() {
    if (this.user) $("name").value = this.user;
    $("name").readOnly = Boolean(this.user);
    $("sign").textContent = this.user ? "Sign out" : "Sign in";
  }

  // action is what can be done with a flight, for the rows of a table; null if nobody has
  // signed in.
  get action() {
    const number = ({ flight_id, id }) => flight_id ?? id;
    const isBooked = (flight) => flight.flight_id !== undefined || this.booked.has(flight.id);
    return this.user && {
      title: "Booking",
      label: (flight) => (isBooked(flight) ? "Cancel" : "Book"),
      about: (flight) => `flight ${number(flight)}`,
      run: (flight) => this.book(number(flight), !isBooked(flight)),
    };
  }

  async book(id, wanted) {
    const done = wanted ? "is booked" : "is not booked any more";
    toast(await this.peer.call(wanted ? "book_flight" : "cancel_flight", { id }).then(() => `Flight ${id} ${done}.`, (error) => error.message));
  }
}
