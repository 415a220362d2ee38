// Tables that sort and filter. The state of a table is shared, and so stands in the address: #table.scores.sort=score
// &table.scores.order=descending&table.scores.filter=IT.
"use strict";
(() => {
  const PAGE = 200;
  const { data, state: shared } = window.neuroscaling;

  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
  };

  // IT finds the region and MajajHong2015public.IT-pls, but not vit_w8.
  const startOfWord = (word) => new RegExp(`(^|[^A-Za-z0-9])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`, "i");

  const element = (tag, text, className) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (className) node.className = className;
    return node;
  };

  function explorer(name) {
    const { columns, rows, total } = data[name];
    const table = document.getElementById(`${name}-table`);
    const input = document.querySelector(`[data-filter="${name}"]`);
    const count = document.querySelector(`[data-count="${name}"]`);
    const more = document.querySelector(`[data-more="${name}"]`);
    const texts = rows.map((row) => row.filter((cell) => cell !== null).join(" "));
    const state = { sort: null, order: "ascending", filter: "", shown: PAGE };

    function chosen() {
      const words = state.filter.split(/\s+/).filter(Boolean).map(startOfWord);
      const found = rows.filter((_, i) => words.every((word) => word.test(texts[i])));
      const column = columns.indexOf(state.sort);
      if (column < 0) return found;
      const sign = state.order === "descending" ? -1 : 1;
      // Missing values stay at the end in both orders.
      return found.sort((a, b) => {
        const missing = (a[column] === null) - (b[column] === null);
        return missing || sign * compare(a[column], b[column]);
      });
    }

    function drawRow(row) {
      const line = element("tr");
      for (const cell of row) {
        const text = cell === null ? "–" : typeof cell === "number" && Math.abs(cell) >= 1e7 ? cell.toExponential(3) : cell;
        line.append(element("td", String(text), typeof cell === "number" ? "number" : ""));
      }
      return line;
    }

    function draw() {
      const found = chosen();
      table.tBodies[0].replaceChildren(...found.slice(0, state.shown).map(drawRow));
      const left = total > rows.length ? `; the page holds ${rows.length} of ${total}` : "";
      count.textContent = `${found.length} of ${rows.length} rows${left}`;
      more.hidden = found.length <= state.shown;
      for (const head of table.tHead.querySelectorAll("th")) {
        head.setAttribute("aria-sort", head.dataset.column === state.sort ? state.order : "none");
      }
    }

    function sortBy(column) {
      state.order = state.sort === column && state.order === "ascending" ? "descending" : "ascending";
      state.sort = column;
      remember();
      draw();
    }

    function remember() {
      shared.set(`table.${name}.sort`, state.sort);
      shared.set(`table.${name}.order`, state.sort && state.order);
      shared.set(`table.${name}.filter`, state.filter);
    }

    function recall() {
      const wanted = ["sort", "order", "filter"].map((key) => shared.get(`table.${name}.${key}`));
      if (wanted.every((value) => value === null)) return;
      if (columns.includes(wanted[0])) state.sort = wanted[0];
      if (wanted[1] === "descending") state.order = "descending";
      state.filter = input.value = wanted[2] || "";
      document.getElementById(name).scrollIntoView();
    }

    const head = element("tr");
    for (const column of columns) {
      const cell = element("th");
      cell.scope = "col";
      cell.dataset.column = column;
      const button = element("button", column.replaceAll("_", " "));
      button.type = "button";
      button.addEventListener("click", () => sortBy(column));
      cell.append(button);
      head.append(cell);
    }
    table.tHead.append(head);
    input.addEventListener("input", () => { state.filter = input.value; state.shown = PAGE; remember(); draw(); });
    more.addEventListener("click", () => { state.shown += 5 * PAGE; draw(); });
    recall();
    draw();
  }

  // A study has the tables that it has rows for: one that fits published scores has no runs of its own.
  for (const table of document.querySelectorAll("[data-table]")) explorer(table.dataset.table);
})();
