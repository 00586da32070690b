// A small client of the protocol: it follows vars and lists, calls functions, and
// provides vars and functions of its own. It offers version 2 and speaks what the
// server chooses. After a lost connection it goes on where it was.
import { List, Var } from "./follow.js";
import { Provided, requests } from "./provide.js";

const firstWait = 250; // ms before the first attempt to connect again; it doubles
const lastWait = 8000; // ms between attempts at most
const callTime = 10000; // ms that a call may take
const refused = 4001; // how a connection is closed to those who are not let in

export class Peer {
  constructor(url, onState, subprotocols = ["socksync.v2", "socksync.v1"]) {
    Object.assign(this, { url, onState, subprotocols });
    this.version = 0; // of the present connection
    this.followed = new Map(); // view -> Var or List
    this.calls = new Map(); // id -> {resolve, reject}
    this.provided = new Provided(this);
    this.lastName = 0;
    this.wait = firstWait;
    this.onRefused = () => {}; // the server does not let in who we say we are
    this.connect();
    addEventListener("pagehide", () => this.socket.close()); // or the browser may keep it with the page, unseen
  }

  connect() {
    this.socket = new WebSocket(this.url, this.subprotocols);
    this.socket.onopen = () => this.opened();
    this.socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    this.socket.onclose = ({ code }) => this.closed(code);
  }

  // move goes on at another address, as somebody else.
  move(url) {
    this.url = url;
    const old = this.socket;
    old.onmessage = old.onclose = null;
    if (old.readyState === WebSocket.CONNECTING) old.onopen = () => old.close(); // sooner, the browser would complain
    else old.close();
    this.ended();
    this.connect();
  }

  opened() {
    this.wait = firstWait;
    this.version = this.socket.protocol === "socksync.v2" ? 2 : 1;
    const followed = [...this.followed.values()]; // what is followed from now on starts by itself
    this.onState("live", this.version);
    for (const item of followed) if (this.followed.has(item.view)) item.start();
  }

  closed(code) {
    this.ended();
    this.retry = setTimeout(() => this.connect(), this.wait * (0.5 + Math.random()));
    this.wait = Math.min(2 * this.wait, lastWait);
    if (code === refused) this.onRefused();
  }

  ended() {
    clearTimeout(this.retry);
    this.version = 0;
    this.onState("connecting", 0);
    this.provided.forget();
    for (const call of this.calls.values()) call.reject(new Error("the connection was lost"));
    for (const item of this.followed.values()) item.stop();
  }

  // Fields that are undefined are not sent.
  send(message) {
    const open = this.socket.readyState === WebSocket.OPEN;
    if (open) this.socket.send(JSON.stringify(message));
    return open;
  }

  // name returns an id or the name of a view that nothing else has.
  name() {
    return String(++this.lastName);
  }

  followVar(name, onChange) {
    return this.follow(new Var(this, "var", name, onChange));
  }

  // choice is what a get says: page or after, page_size, sort, filter, search.
  followList(name, choice, onChange) {
    return this.follow(Object.assign(new List(this, "list", name, onChange), { choice }));
  }

  follow(item) {
    this.followed.set(item.view, item);
    item.start();
    return item;
  }

  call(name, args) {
    const id = this.name();
    return new Promise((resolve, reject) => {
      this.send({ func: "subscribe", type: "function", name });
      if (!this.send({ func: "call", type: "function", name, id, args })) throw new Error("there is no connection");
      this.calls.set(id, { resolve, reject });
      setTimeout(() => reject(new Error("there was no answer")), callTime);
    }).finally(() => this.calls.delete(id));
  }

  provideVar(name, value) {
    this.provided.setVar(name, value);
  }

  provideFunction(name, run) {
    this.provided.functions.set(name, run);
  }

  receive(m) {
    if (m.func === "error") this.failed(m);
    else if (m.func === "return") this.calls.get(m.id)?.resolve(m.value);
    else if (requests.has(m.func)) this.provided.receive(m);
    else this.find(m)?.receive(m);
  }

  // find returns what is followed under a message's view. Version 1 has no views.
  find({ type, name, view }) {
    if (this.version === 2) return this.followed.get(view);
    return [...this.followed.values()].find((item) => item.type === type && item.name === name);
  }

  failed(m) {
    if (this.version === 1) this.guess(m);
    else if (m.type === "function") this.calls.get(m.id)?.reject(new Error(m.message));
    else this.find(m)?.failed(m);
  }

  // Version 1 does not say which request failed. If there is but one, it is that one;
  // if not, vars and lists ask again, which does no harm, and calls wait for their time.
  guess(m) {
    const items = [...this.followed.values()].filter((item) => item.asked);
    if (items.length === 0 && this.calls.size === 1) {
      for (const call of this.calls.values()) call.reject(new Error(m.message));
    }
    for (const item of items) item.failed(m);
  }
}
