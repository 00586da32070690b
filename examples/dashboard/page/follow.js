// What a peer follows: vars and lists of the other end, each in a view of its own.

const retryTime = 2000; // ms after which what could not be read is asked for again
const forbidden = 9; // the error of what is not for us
const onlyOnce = "This server speaks version 1, which shows a list only once.";
const onlyPages = "This server speaks version 1, which has no sorting, filters, search or scrolling.";

// What Var and List have in common: they are followed, asked for, and asked for
// again after an error.
class Item {
  constructor(peer, type, name, onChange) {
    Object.assign(this, { peer, type, name, onChange, view: peer.name() });
    this.held = false; // there is something to show
    this.asked = null; // the id of the last request that is not answered yet
    this.error = null; // why what is held is not what was asked for
    this.still = null; // why what is held is not up to date
    this.ended = false; // the server has ended the subscription
  }

  get problem() {
    return this.error ?? this.still;
  }

  // start is called when there is a new connection.
  start() {
    this.ended = false;
    this.request("subscribe");
    this.get();
  }

  // stop is called when the connection is lost.
  stop() {
    clearTimeout(this.retry);
    this.asked = null;
  }

  // refused says why nothing can be asked for, "" if it can.
  refused() {
    return this.peer.version === 1 && this.peer.find(this) !== this ? onlyOnce : "";
  }

  // request returns the id of what it sent, null if it was not sent.
  request(func, fields) {
    if (this.refused()) return null;
    const { type, name, view } = this;
    const id = this.peer.name();
    const route = this.peer.version === 2 ? { view, id } : {};
    return this.peer.send({ func, type, name, ...route, ...fields }) ? id : null;
  }

  ask(func, fields) {
    clearTimeout(this.retry);
    if (this.ended) this.request("subscribe");
    this.ended = false;
    this.asked = this.request(func, fields);
    this.error = this.refused() || this.error;
    this.changed();
  }

  // settle takes note that the server has sent what is to be shown, and returns
  // whether that answers the last request.
  settle({ id }) {
    Object.assign(this, { held: true, still: null });
    if (this.peer.version === 2 && id !== this.asked) return false;
    clearTimeout(this.retry);
    Object.assign(this, { asked: null, error: null });
    return true;
  }

  // failed takes an error. One of the last request has it made again, one without an
  // id says that what is held stands still; others are of requests that do not matter
  // any more.
  failed({ id, message, error_code }) {
    if (this.peer.version === 2 && error_code === forbidden) this.forbid(message);
    else if (this.peer.version === 2 && id === undefined) this.still = message;
    else if (this.peer.version === 2 && id !== this.asked) return;
    else this.again(message);
    this.changed();
  }

  // forbid takes away what is not ours to see, or not any more. The subscription has ended,
  // and asking for the same again is no use.
  forbid(message) {
    this.stop();
    Object.assign(this, { held: false, error: message, value: undefined, ended: true });
  }

  again(message) {
    Object.assign(this, { asked: null, error: message });
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.get(), retryTime);
  }

  close() {
    this.stop();
    this.request("unsubscribe");
    this.peer.followed.delete(this.view);
  }

  // A change may be several messages: it is shown once, when they are in.
  changed() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.peer.followed.get(this.view) === this) this.onChange(this);
    });
  }
}

// A var: value is good if held is true.
export class Var extends Item {
  get() {
    this.ask("get");
  }

  receive(m) {
    this.settle(m);
    this.value = m.value;
    this.changed();
  }
}

// A window of a list: what it shows is good if held is true, and stays what it was
// while another choice is on its way.
export class List extends Item {
  items = [];
  total = 0; // items of the whole list
  fresh = new Set(); // items that came by themselves
  after = null; // the key of the row before an anchored window, null for the start
  key = null; // the names of the columns that identify a row
  rev = null; // names the state that is held
  shown = null; // the choice that is held, null if that is not known
  live = false; // the server knows the window
  paused = false;
  pending = 0; // rows that would be news if the window were not paused
  pendingTotal = null; // the total that it would have, null if that is not known

  start() {
    if (this.peer.version === 1) this.held = this.paused = false;
    if (this.paused) return; // it is being read: resume asks for it
    if (this.shown === this.choice) this.anchor();
    super.start();
  }

  // The anchor may be another row by now: there the window goes on.
  anchor() {
    if ("after" in this.choice) this.shown = this.choice = { ...this.choice, after: this.after };
  }

  stop() {
    super.stop();
    this.live = false;
  }

  forbid(message) {
    super.forbid(message);
    Object.assign(this, { items: [], total: 0, paused: false });
  }

  refused() {
    const chosen = ({ sort, filter, search, after }) => sort || filter || search || after !== undefined;
    return super.refused() || (this.peer.version === 1 && chosen(this.choice) ? onlyPages : "");
  }

  choose(choice) {
    this.choice = choice;
    this.get();
  }

  // grow makes an anchored window greater, unless something else is under way.
  grow(size) {
    const busy = this.asked || this.paused || this.shown !== this.choice;
    if (busy || !this.live || this.peer.version === 1) return;
    this.choose({ ...this.choice, page_size: size });
    this.growth = this.asked;
  }

  get() {
    this.paused = false; // a get ends it
    const same = this.held && this.rev && this.shown === this.choice;
    this.ask("get", same ? { ...this.choice, rev: this.rev } : this.choice);
  }

  pause() {
    if (this.peer.version === 1 || !this.held) return;
    clearTimeout(this.retry);
    Object.assign(this, { paused: true, pausing: this.request("pause") });
    this.changed();
  }

  resume() {
    this.paused = false;
    if (!this.live) this.start();
    else if (this.shown !== this.choice) this.get();
    else this.ask("resume");
  }

  failed(m) {
    super.failed(m);
    if (m.id === undefined || m.id !== this.pausing) return;
    Object.assign(this, { paused: false, still: m.message });
    this.changed();
  }

  receive(m) {
    if (m.func === "set_all") this.setAll(m);
    else if (m.func === "step") this.step(m);
    else if (m.func === "set_pending") Object.assign(this, { pending: m.pending, pendingTotal: m.total_item_count });
    else this.apply([m]); // version 1
    this.changed();
  }

  setAll(m) {
    this.settle(m);
    this.fresh.clear();
    const known = new Map(this.items.map((item) => [JSON.stringify(item), item])); // those stay the same objects
    this.items = m.items.map((item) => known.get(JSON.stringify(item)) ?? item);
    Object.assign(this, { total: m.total_item_count, after: m.after ?? null, key: m.key ?? null });
  }

  step(m) {
    const news = m.id === undefined || m.id !== this.growth;
    if (!this.apply(m.changes, news)) return;
    this.settle(m);
    if (m.after !== undefined) this.after = m.after;
  }

  settle(m) {
    const answers = super.settle(m);
    if (answers) this.shown = this.choice;
    else if (m.id !== undefined) this.shown = null; // what an older request asked for
    Object.assign(this, { live: true, rev: m.rev, pending: 0, pendingTotal: null });
    return answers;
  }

  // apply makes all changes or none, and returns whether they fit what is held.
  apply(changes, news = true) {
    if (!this.held) return false;
    const items = [...this.items];
    const counts = changes.filter(({ func }) => func === "set_count");
    if (!changes.every((c) => c.func === "set_count" || change(items, c))) return this.lost();
    this.items = items;
    this.total = counts.at(-1)?.total_item_count ?? this.total;
    if (news && !document.hidden) for (const { value } of changes) if (value) this.fresh.add(value);
    return true;
  }

  // The window is not what the server thinks: nothing is held until it comes again.
  lost() {
    this.held = false;
    this.peer.provided.refuse(this, 5, "bad index");
    this.get();
    return false;
  }
}

// change makes one change and returns whether it could be made.
function change(items, { func, index, value }) {
  const last = func === "insert" ? items.length : items.length - 1;
  if (!Number.isInteger(index) || index < 0 || index > last) return false;
  if (func === "insert") items.splice(index, 0, value);
  if (func === "set") items[index] = value;
  if (func === "delete") items.splice(index, 1);
  return true;
}
