// A small client of protocol version 1: it follows vars and lists, calls functions,
// and provides vars and functions of its own. After a lost connection it begins again.

export class Peer {
  constructor(url, onState) {
    this.url = url;
    this.onState = onState;
    this.followed = new Map(); // "type name" -> Var or List
    this.calls = new Map(); // id -> {resolve, reject}
    this.lastCall = 0;
    this.values = new Map(); // vars provided: name -> value
    this.watched = new Set(); // those of them that the server follows
    this.functions = new Map(); // functions provided: name -> (args) => value
    this.wait = firstWait;
    this.connect();
    addEventListener("pagehide", () => this.socket.close()); // or the browser may keep it with the page, unseen
  }

  connect() {
    this.socket = new WebSocket(this.url);
    this.socket.onopen = () => this.opened();
    this.socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    this.socket.onclose = () => this.closed();
  }

  opened() {
    this.wait = firstWait;
    this.onState("live");
    for (const item of this.followed.values()) item.start();
  }

  closed() {
    this.onState("connecting");
    this.watched.clear();
    for (const call of this.calls.values()) call.reject(new Error("the connection was lost"));
    for (const item of this.followed.values()) item.asked(false);
    setTimeout(() => this.connect(), this.wait * (0.5 + Math.random()));
    this.wait = Math.min(2 * this.wait, 8000);
  }

  send(message) {
    const open = this.socket.readyState === WebSocket.OPEN;
    if (open) this.socket.send(JSON.stringify(message));
    return open;
  }

  followVar(name, onChange) {
    return this.follow(new Var(this, "var", name, onChange));
  }

  followList(name, page, size, onChange) {
    return this.follow(Object.assign(new List(this, "list", name, onChange), { page, size }));
  }

  follow(item) {
    this.followed.set(item.key, item);
    item.start();
    return item;
  }

  call(name, args) {
    const id = String(++this.lastCall);
    return new Promise((resolve, reject) => {
      this.send({ func: "subscribe", type: "function", name });
      if (!this.send({ func: "call", type: "function", name, id, args })) throw new Error("there is no connection");
      this.calls.set(id, { resolve, reject });
      setTimeout(() => reject(new Error("there was no answer")), callTime);
    }).finally(() => this.calls.delete(id));
  }

  provideVar(name, value) {
    this.values.set(name, value);
    if (this.watched.has(name)) this.sendValue(name);
  }

  provideFunction(name, run) {
    this.functions.set(name, run);
  }

  sendValue(name) {
    this.send({ func: "set", type: "var", name, value: this.values.get(name) });
  }

  refuse(code, message) {
    this.send({ func: "error", error_code: code, message });
  }

  receive(m) {
    const item = this.followed.get(`${m.type} ${m.name}`);
    if (m.func === "error") this.failed(m);
    else if (m.func === "unsubscribe_all") this.watched.clear();
    else if (m.func === "return") this.calls.get(m.id)?.resolve(m.value);
    else if (m.type === "function") this.serveFunction(m);
    else if (m.type === "var" && m.func !== "set") this.serveVar(m);
    else item?.receive(m);
  }

  // Version 1 does not say which request failed. If there is but one, it is that one;
  // if not, vars and lists ask again, which does no harm, and calls wait for their time.
  failed(m) {
    const items = [...this.followed.values()].filter((item) => item.waits);
    if (items.length === 0 && this.calls.size === 1) {
      for (const call of this.calls.values()) call.reject(new Error(m.message));
    }
    for (const item of items) item.failed(m);
  }

  serveVar(m) {
    if (!this.values.has(m.name)) return this.refuse(3, "there is no such var");
    if (m.func === "subscribe") this.watched.add(m.name);
    if (m.func === "unsubscribe") this.watched.delete(m.name);
    if (m.func === "get") this.sendValue(m.name);
  }

  async serveFunction({ func, type, name, id, args }) {
    const run = this.functions.get(name);
    if (!run) return this.refuse(3, "there is no such function");
    if (func !== "call") return;
    try {
      this.send({ func: "return", type, name, id, value: (await run(args ?? {})) ?? null });
    } catch {
      this.refuse(8, "the function failed");
    }
  }
}

const firstWait = 250; // ms before the first attempt to connect again; it doubles
const callTime = 10000; // ms that a call may take
const retryTime = 2000; // ms after which what could not be read is asked for again

// What Var and List have in common: they are followed, asked for, and asked for
// again after an error.
class Item {
  constructor(peer, type, name, onChange) {
    Object.assign(this, { peer, type, name, onChange, key: `${type} ${name}`, held: false, error: null });
  }

  start() {
    this.held = false;
    this.request("subscribe");
    this.get();
  }

  get(choice) {
    this.asked(this.request("get", choice));
  }

  asked(waits) {
    clearTimeout(this.retry);
    this.waits = waits;
  }

  request(func, choice) {
    return this.peer.send({ func, type: this.type, name: this.name, ...choice });
  }

  failed(m) {
    this.asked(false);
    this.retry = setTimeout(() => this.get(), retryTime);
    this.error = m.message;
    this.changed();
  }

  close() {
    this.asked(false);
    this.peer.followed.delete(this.key);
    this.request("unsubscribe");
  }

  // A change may be several messages: it is shown once, when they are in.
  changed() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.peer.followed.get(this.key) === this) this.onChange(this);
    });
  }
}

// A var: value is good if held is true.
class Var extends Item {
  receive(m) {
    this.asked(false);
    Object.assign(this, { value: m.value, held: true, error: null });
    this.changed();
  }
}

// One page of a list: items and total are good if held is true, and stay what they
// were while a new page is on its way.
class List extends Item {
  items = [];
  total = 0;
  fresh = new Set(); // items that came by themselves since the page was shown

  go(page, size) {
    Object.assign(this, { page, size });
    this.get();
  }

  get() {
    super.get({ page: this.page, page_size: this.size });
  }

  receive(m) {
    if (m.func === "set_all") this.setAll(m);
    else if (m.func === "set_count") this.total = m.total_item_count;
    else if (!this.held) return;
    else if (!this.change(m)) return this.lost();
    this.changed();
  }

  setAll({ items, total_item_count: total }) {
    this.asked(false);
    this.fresh.clear();
    Object.assign(this, { items, total, held: true, error: null });
  }

  change({ func, index, value }) {
    const last = func === "insert" ? this.items.length : this.items.length - 1;
    if (!Number.isInteger(index) || index < 0 || index > last) return false;
    if (func === "insert") this.items.splice(index, 0, value);
    if (func === "set") this.items[index] = value;
    if (func === "delete") this.items.splice(index, 1);
    if (func !== "delete") this.fresh.add(value);
    return true;
  }

  // The page is not what the server thinks: nothing is held until it comes again.
  lost() {
    this.held = false;
    this.peer.refuse(5, "bad index");
    this.get();
  }
}
