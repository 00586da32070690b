// What a peer provides: vars and functions that the other end follows and calls.

// requests are the messages that go to a provider.
export const requests = new Set(["subscribe", "unsubscribe", "unsubscribe_all", "get", "call", "pause", "resume"]);

export class Provided {
  constructor(peer) {
    this.peer = peer;
    this.values = new Map(); // name of a var -> value
    this.views = new Map(); // name of a var -> the views in which it is followed
    this.functions = new Map(); // name -> (args) => value
  }

  // forget ends what the other end follows.
  forget() {
    this.views.clear();
  }

  setVar(name, value) {
    this.values.set(name, value);
    for (const view of this.views.get(name) ?? []) this.sendValue({ name, view });
  }

  sendValue({ name, view, id }) {
    this.peer.send({ func: "set", type: "var", name, view, id, value: this.values.get(name) });
  }

  receive(m) {
    if (m.func === "unsubscribe_all") this.forget();
    else if (m.type === "function") return this.receiveFunction(m);
    else if (m.type !== "var" || !this.values.has(m.name)) return this.refuse(m, 3, `there is no such ${m.type}`);
    else if (m.func === "get") return this.get(m);
    else if (!this.subscribe(m)) return this.refuse(m, 1, "that cannot be done with a var");
    this.confirm(m);
  }

  subscribe({ func, name, view }) {
    if (!this.views.has(name)) this.views.set(name, new Set());
    const views = this.views.get(name);
    if (func === "subscribe") return views.add(view);
    return func === "unsubscribe" && views.delete(view);
  }

  get(m) {
    if (!this.views.get(m.name)?.has(m.view)) this.refuse(m, 1, "there is no subscription");
    else if (m.filter) this.refuse(m, 8, "this var has no parameters");
    else this.sendValue(this.peer.version === 2 ? m : { name: m.name });
  }

  async receiveFunction(m) {
    const run = this.functions.get(m.name);
    if (!run) return this.refuse(m, 3, "there is no such function");
    if (m.func !== "call") return this.confirm(m);
    try {
      const value = (await run(m.args ?? {})) ?? null;
      this.peer.send({ func: "return", type: "function", name: m.name, id: m.id, value });
    } catch {
      this.refuse(m, 8, "the function failed");
    }
  }

  confirm({ id }) {
    if (this.peer.version === 2 && id) this.peer.send({ func: "ok", id });
  }

  // Version 2 repeats what the request was about.
  refuse({ type, name, view, id }, error_code, message) {
    const about = this.peer.version === 2 ? { type, name, view, id } : {};
    this.peer.send({ func: "error", ...about, error_code, message });
  }
}
