// What the parts of the page need to write into it.

export const $ = (id) => document.getElementById(id);

export const integer = new Intl.NumberFormat("en-US");

// toast shows a text for a while.
export function toast(text) {
  const p = element("p", "", text);
  $("toasts").append(p);
  setTimeout(() => p.remove(), 8000);
}

export function element(tag, className = "", text = "", ...children) {
  const e = Object.assign(document.createElement(tag), { className, textContent: text });
  e.append(...children);
  return e;
}
