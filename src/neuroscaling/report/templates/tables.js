// Tables that sort, filter, hide columns and download. How each is set stands in the address: table.NAME.sort, .order,
// .filter (words in any cell), .hidden (columns), .metric, .mapping, .baselines, and .where.COLUMN (its own filter).
"use strict";
neuroscaling.tables = (() => {
  const { data, state, filters } = neuroscaling;
  const isNarrow = matchMedia("(max-width: 40rem)").matches;
  const selected = () => state.get("run");
  const title = (field) => data.titles[field] || field.replaceAll("_", " ");

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }

  const linkTo = (run) => element("a", { href: `#${new URLSearchParams({ run })}` }, run);

  // --- columns ---

  // A head is a button, so that the keyboard sorts too; what stands below its title is told with it.
  function head(column) {
    const button = element("button", { type: "button", title: column.about }, column.title);
    return element("div", { class: "head" }, button, ...(column.below || []).map((text) => element("small", {}, text)));
  }

  // column: field, title, numeric, about, below, show (of a cell's data, to a text or element).
  function definition(column, table) {
    const { field, numeric } = column;
    const show = column.show || ((row) => (field === "run" ? linkTo(row.run) : filters.shown(row[field])));
    return {
      field,
      title: column.title,
      titleFormatter: () => head(column),
      titleDownload: column.download || column.title,
      formatter: (cell) => show(cell.getData()),
      hozAlign: numeric ? "right" : "left",
      headerHozAlign: numeric ? "right" : "left",
      sorter: numeric ? "number" : "alphanum",
      sorterParams: { alignEmptyValues: "bottom" },
      headerSortStartingDir: numeric ? "desc" : "asc",
      headerFilter: filterInput(table, column),
      headerFilterFunc: (text, value, row) => table.exempt(row) || testOf(column, text)(value),
      headerFilterEmptyCheck: (text) => !text,
      headerFilterLiveFilter: false,
      frozen: Boolean(column.frozen) && !isNarrow,
      visible: !column.hidden && !table.hidden().includes(field),
      minWidth: column.width || (numeric ? 84 : 96),
      width: column.width,
      headerFilterPlaceholder: numeric ? "> 0.4" : " ",
      download: true,
    };
  }

  // The test that a text makes in a column; the last one of each column is kept, since each row asks for it.
  const tests = new WeakMap();
  function testOf(column, text) {
    if (tests.get(column)?.text !== text) {
      tests.set(column, { text, test: column.numeric ? filters.numeric(text) : filters.words(text) });
    }
    return tests.get(column).test;
  }

  // The filter of a column: an input whose text makes a test. Other texts than conditions are marked, and find all.
  function filterInput(table, column) {
    const key = `table.${table.name}.where.${column.field}`;
    return (_, onRendered, success) => {
      const input = element("input", {
        type: "search", autocomplete: "off", spellcheck: "false", "data-where": column.field,
        "aria-label": `Filter ${column.title}`,
        title: column.numeric ? "Such as > 0.4, <= 10M, 0.2..0.4, > 1e6 and < 1e8, none" : "Starts of words",
      });
      const apply = () => {
        const text = input.value.trim();
        const isTest = Boolean(text) && testOf(column, text) !== null;
        input.setAttribute("aria-invalid", String(Boolean(text) && !isTest));
        success(isTest ? text : "");
      };
      input.value = state.get(key) || "";
      input.addEventListener("input", () => { state.set(key, input.value.trim()); apply(); });
      table.inputs.set(column.field, () => {
        if (input.value.trim() === (state.get(key) || "")) return;
        input.value = state.get(key) || "";
        apply();
      });
      if (input.value) onRendered(apply);
      return input;
    };
  }

  // --- a table ---

  // given: columns, rows (objects), total (rows of which these are the first), baselines (does it have any?).
  function draw(name, given) {
    const key = (part) => `table.${name}.${part}`;
    const place = document.getElementById(`${name}-table`);
    const section = document.getElementById(name);
    const table = {
      name, given, inputs: new Map(),
      hidden: () => (state.get(key("hidden")) || "").split(",").filter(Boolean),
      exempt: (row) => Boolean(row.is_baseline) && state.get(key("baselines")) === "kept",
    };
    const find = section.querySelector("[data-filter]");
    const count = section.querySelector("[data-count]");
    const grid = table.grid = new Tabulator(place, {
      data: given.rows,
      columns: given.columns.map((column) => definition(column, table)),
      maxHeight: "34rem",
      layout: "fitDataFill",
      nestedFieldSeparator: false,
      headerSortTristate: false,
      columnHeaderSortMulti: false,
      headerSortElement: '<span class="arrow" aria-hidden="true"></span>',
      placeholder: "No row passes the filters.",
      initialSort: wantedSort(),
      rowFormatter: mark,
      keybindings: { navPrev: false, navNext: false, navUp: false, navDown: false, navLeft: false, navRight: false },
    });

    function wantedSort() {
      const field = state.get(key("sort"));
      if (field && given.columns.some((column) => column.field === field)) {
        return [{ column: field, dir: state.get(key("order")) === "descending" ? "desc" : "asc" }];
      }
      return given.sort ? [given.sort] : [];
    }

    function mark(row) {
      const { run, is_baseline: isBaseline } = row.getData();
      row.getElement().classList.toggle("chosen", run === selected());
      row.getElement().classList.toggle("baseline", Boolean(isBaseline));
    }

    function search() {
      const text = find.value = state.get(key("filter")) || "";
      const test = filters.words(text);
      if (!text) return grid.clearFilter(false);
      const words = (row) => given.columns.map(({ field }) => row[field] ?? "").join(" ");
      grid.setFilter((row) => table.exempt(row) || test(words(row)));
    }

    function tell() {
      const left = given.total > given.rows.length ? `; the page holds ${given.rows.length} of ${given.total}` : "";
      count.textContent = `${grid.getDataCount("active")} of ${given.rows.length} rows${left}`;
    }

    // What the address says of one part of this table, after somebody or another view changed it.
    function recall(part) {
      if (part === "filter") search();
      else if (part === "hidden") showColumns();
      else if (part.startsWith("where.")) table.inputs.get(part.slice("where.".length))?.();
      else if (["sort", "order"].includes(part)) {
        const [now] = grid.getSorters();
        const [wanted] = wantedSort();
        if (wanted && (now?.field !== wanted.column || now?.dir !== wanted.dir)) grid.setSort([wanted]);
      }
    }

    const list = section.querySelector("[data-columns]");
    function chooser() {
      list.replaceChildren(...given.columns.filter(({ field }) => field !== "run").map((column) => {
        const box = element("input", { type: "checkbox", value: column.field });
        box.checked = !table.hidden().includes(column.field);
        box.addEventListener("change", () => {
          const hidden = table.hidden().filter((field) => field !== column.field);
          state.set(key("hidden"), (box.checked ? hidden : [...hidden, column.field]).join(","));
        });
        return element("label", {}, box, ` ${column.download || column.title}`);
      }));
    }

    function showColumns() {
      for (const box of list.querySelectorAll("input")) {
        box.checked = !table.hidden().includes(box.value);
        grid[box.checked ? "showColumn" : "hideColumn"](box.value);
      }
    }

    // Rows of the network that was selected, and of the one that is.
    let rowsOf = null;
    let marked = null;
    function select(run) {
      if (!rowsOf) rowsOf = grouped(grid.getRows());
      for (const name of [marked, run]) for (const row of rowsOf.get(name) || []) mark(row);
      marked = run;
      const [first] = (rowsOf.get(run) || []).filter((row) => row.getPosition());
      if (first && table.follows) grid.scrollToRow(first, "nearest", false).catch(() => {});
    }

    grid.on("tableBuilt", () => {
      search();
      chooser();
      tell();
      if (selected()) select(selected());
      table.ends = [state.subscribe("run", select), state.subscribe("*", (_, changed) => {
        if (changed.startsWith(key("")) && !table.busy) recall(changed.slice(key("").length));
      })];
    });
    grid.on("dataFiltered", () => { if (grid.initialized) setTimeout(tell); });
    grid.on("headerClick", () => setTimeout(() => {
      const [sorter] = grid.getSorters();
      if (!sorter) return;
      table.busy = true;
      state.set(key("sort"), sorter.field);
      state.set(key("order"), sorter.dir === "desc" ? "descending" : "ascending");
      table.busy = false;
    }));
    grid.on("rowClick", (event, row) => {
      if (!event.target.closest("a, button, input")) state.set("run", row.getData().run);
    });
    find.oninput = () => state.set(key("filter"), find.value);
    section.querySelector("[data-csv]").onclick = () => (
      grid.download("csv", `${document.body.dataset.study}-${name}.csv`));
    return table;
  }

  function grouped(rows) {
    const found = new Map();
    for (const row of rows) {
      const { run } = row.getData();
      if (!found.has(run)) found.set(run, []);
      found.get(run).push(row);
    }
    return found;
  }

  const objects = ({ columns, rows }) => rows.map((row) => (
    Object.fromEntries(columns.map((column, i) => [column, row[i]]))));

  // Columns of a plain table; one is of numbers if its first value is.
  function plainColumns({ columns, rows }) {
    return columns.map((field, i) => {
      const first = rows.find((row) => row[i] !== null);
      const isRun = field === "run";
      const numeric = Boolean(first) && typeof first[i] === "number";
      return { field, title: title(field), numeric, frozen: isRun, width: isRun ? 250 : undefined };
    });
  }

  for (const name of ["scores", "runs"]) {
    if (document.getElementById(`${name}-table`)) {
      draw(name, { columns: plainColumns(data[name]), rows: objects(data[name]), total: data[name].total });
    }
  }
  return { draw, element, linkTo, objects, plainColumns, title };
})();
