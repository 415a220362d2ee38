// What the parts of the page share: the data, and the state of the view: which network is selected, how figures and
// tables are set. The state stands in the address, such as #run=resnet18-0a1b2c3d&x=n_params, so that any view is a
// link. A plain anchor (#laws) is an address too: it moves the page and leaves the state alone.
"use strict";
window.neuroscaling = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  // A packed table has each text of a column once, in `words`, and its place there in the rows.
  for (const table of Object.values(data)) {
    for (const [name, words] of Object.entries((table?.columns && table.words) || {})) {
      const i = table.columns.indexOf(name);
      for (const row of table.rows) if (row[i] !== null) row[i] = words[row[i]];
    }
  }
  const values = new Map();
  const listeners = new Map();

  const isState = (hash) => hash.includes("=");

  // An address that isn't one (#%E0%A4%A) is read as far as it goes, and never an error.
  const parsed = (hash) => new URLSearchParams(hash.replace(/^#/, ""));

  function get(key) {
    return values.has(key) ? values.get(key) : null;
  }

  function assign(key, value) {
    const text = value === null || value === undefined || value === "" ? null : String(value);
    if (text === get(key)) return false;
    if (text === null) values.delete(key);
    else values.set(key, text);
    return true;
  }

  function tell(key) {
    for (const listener of listeners.get(key) || []) listener(get(key), key);
    for (const listener of listeners.get("*") || []) listener(get(key), key);
  }

  function remember() {
    const hash = new URLSearchParams([...values].sort(([a], [b]) => (a < b ? -1 : 1))).toString();
    if (hash || isState(location.hash)) history.replaceState(null, "", `#${hash}`);
  }

  // value: text; null or "" forgets the key.
  function set(key, value) {
    if (!assign(key, value)) return;
    remember();
    tell(key);
  }

  // listener(value, key) is called when the value of `key` changes; of every key for "*". Gives a function that ends it.
  function subscribe(key, listener) {
    if (!listeners.has(key)) listeners.set(key, new Set());
    listeners.get(key).add(listener);
    return () => listeners.get(key).delete(listener);
  }

  // A whole address replaces the state.
  function recall() {
    if (!isState(location.hash)) return;
    const wanted = parsed(location.hash);
    const changed = [...values.keys()].filter((key) => !wanted.has(key) && assign(key, null));
    for (const [key, value] of wanted) if (assign(key, value)) changed.push(key);
    changed.forEach(tell);
  }

  // A link within the page, such as #run=NAME, changes what it names and leaves the rest of the view.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (!link || !isState(link.getAttribute("href")) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    for (const [key, value] of parsed(link.getAttribute("href"))) set(key, value);
  });

  for (const [key, value] of isState(location.hash) ? parsed(location.hash) : []) assign(key, value);
  window.addEventListener("hashchange", recall);

  // Light or dark: what the state says, else what the reader's system does.
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const scheme = () => get("scheme") || (system.matches ? "dark" : "light");
  function applyScheme() {
    document.documentElement.dataset.scheme = scheme();
    const button = document.getElementById("scheme");
    button.hidden = false;
    button.textContent = scheme() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `${button.textContent} colours`);
  }
  applyScheme();
  subscribe("scheme", applyScheme);
  system.addEventListener("change", () => { applyScheme(); tell("scheme"); });
  document.getElementById("scheme").addEventListener("click", () => set("scheme", scheme() === "dark" ? "light" : "dark"));
  return { data, scheme, state: { get, set, subscribe } };
})();
