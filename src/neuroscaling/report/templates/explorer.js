// The figures of the laws, as far as a reader can change them: their controls, what is drawn when, what is selected.
// Settings of the figure NAME stand in the address as fit.NAME.x, .scale, .residuals, .zoom; hidden (families and forms)
// and run (the selected network) are those of the whole page.
"use strict";
(() => {
  const { state, scheme, chart } = window.neuroscaling;
  const { laws, place, words } = chart;
  const HEIGHT = { one: 340, many: 235 };
  const PARTS = { ":law": "law", ":band": "95 % band", ":errors": "error bars", ":levels": "without training", ":ceiling": "ceiling" };

  const SIGNS = { ":law": "━━", ":band": "▒" };

  const element = (tag, attributes = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };
  const hidden = () => new Set((state.get("hidden") || "").split("|").filter(Boolean));

  function toggle(token) {
    const now = hidden();
    if (!now.delete(token)) now.add(token);
    state.set("hidden", [...now].sort().join("|"));
  }

  class Figure {
    constructor(node) {
      this.node = node;
      this.name = node.dataset.figure;
      const { panels, x } = laws.groups[this.name];
      this.panels = panels.map((panel, i) => ({ panel, plot: node.querySelectorAll(".plot")[i], isNear: false, drawn: null, view: null, turn: 0 }));
      this.choices = x;
      this.part = (part) => node.querySelector(`[data-part="${part}"]`);
      this.controls();
      this.legend();
      this.part("seen").addEventListener("toggle", () => this.table());
      this.refresh();
    }

    key(setting) { return `fit.${this.name}.${setting}`; }

    set(setting, value) {
      state.set("fit", this.name);
      if (setting !== "zoom") state.set(this.key("zoom"), null);
      state.set(this.key(setting), value);
    }

    settings() {
      const x = state.get(this.key("x"));
      return {
        x: this.choices.includes(x) && x !== this.choices[0] ? x : null,
        scale: state.get(this.key("scale")) === "linear" ? "linear" : "log",
        residuals: state.get(this.key("residuals")) === "1",
        zoom: this.zoom(),
        hidden: hidden(),
        run: state.get("run"),
      };
    }

    // Such as 3:1e5,1e7,0.1,0.4: the panel in which a box was drawn, and the box. Nothing where it says no such thing.
    zoom() {
      const [panel, box] = (state.get(this.key("zoom")) || "").split(":");
      const numbers = (box || "").split(",").map(Number);
      if (numbers.length !== 4 || !numbers.every(Number.isFinite) || !this.panels[panel]) return null;
      return { x: numbers.slice(0, 2), y: numbers.slice(2), scale: this.panels[panel].panel.scale };
    }

    select(title, setting, options) {
      const box = element("select", {}, ...options.map(([value, text]) => element("option", { value }, text)));
      box.dataset.setting = setting;
      box.addEventListener("change", () => this.set(setting, box.value === options[0][0] ? null : box.value));
      return element("label", {}, `${title} `, box);
    }

    button(text, act, title = "") {
      const node = element("button", { type: "button", className: "button", title }, text);
      node.addEventListener("click", act);
      return node;
    }

    controls() {
      const residuals = this.button("Residuals", () => this.set("residuals", this.settings().residuals ? null : "1"));
      residuals.dataset.setting = "residuals";
      const hasLaw = this.panels.some(({ panel }) => panel.fits.some((fit) => fit.law));
      this.part("controls").append(
        this.select("x axis", "x", this.choices.map((name) => [name, laws.axes[name] || name])),
        this.select("scale", "scale", [["log", "logarithmic"], ["linear", "linear"]]),
        ...(hasLaw ? [residuals] : []),
        element("span", { className: "together" },
          this.button("+", () => this.zoomBy(0.5), "Zoom in"), this.button("−", () => this.zoomBy(2), "Zoom out"),
          this.button("Reset zoom", () => this.set("zoom", null))),
        element("span", { className: "together" }, "Download ",
          ...["CSV", "SVG", "PNG"].map((kind) => this.button(kind, () => this.download(kind), `Download what is seen as ${kind}`))),
      );
    }

    legend() {
      const items = new Map(), fits = this.panels.flatMap(({ panel }) => panel.fits);
      for (const fit of fits) {
        for (const i of laws.points[fit.points].network) {
          const family = laws.networks.rows[i][place.arch_family];
          if (family) items.set(family, [family, laws.looks[family].sign, laws.looks[family].colors]);
        }
      }
      const keys = [...items].sort(([a], [b]) => (a < b ? -1 : 1));
      for (const form of new Set(fits.flatMap((fit) => fit.forms.map((each) => each.form)))) {
        keys.push([`form:${form}`, [laws.forms[form].words, laws.forms[form].sign, laws.forms[form].colors]]);
      }
      const has = {
        ":law": fits.some((fit) => fit.curve), ":band": fits.some((fit) => fit.curve?.low), ":errors": fits.some((fit) => laws.points[fit.points].error),
        ":levels": this.panels.some(({ panel }) => panel.levels.length), ":ceiling": this.panels.some(({ panel }) => panel.ceiling !== null),
      };
      for (const token of Object.keys(PARTS)) if (has[token]) keys.push([token, [PARTS[token], SIGNS[token] || "", laws.ink]]);
      this.keys = keys.map(([token, [text, sign, colors]]) => {
        const mark = element("span", { ariaHidden: "true" }, sign);
        const button = element("button", { type: "button", className: "key" }, mark, sign ? ` ${text}` : text);
        button.addEventListener("click", () => toggle(token));
        this.part("legend").append(button);
        return { token, button, mark, colors };
      });
    }

    // The controls as the state has them, the panels that are near drawn again, the others when they come near.
    refresh() {
      const settings = this.settings();
      for (const box of this.part("controls").querySelectorAll("select")) {
        box.value = box.dataset.setting === "x" ? settings.x || this.choices[0] : settings.scale;
      }
      this.part("controls").querySelector("[data-setting=residuals]")?.setAttribute("aria-pressed", settings.residuals);
      for (const { token, button, mark, colors } of this.keys) {
        button.setAttribute("aria-pressed", !settings.hidden.has(token));
        mark.style.color = chart.ink(colors);
      }
      this.settled = settings;
      this.ends = chart.domains(this.panels.map(({ panel }) => panel), settings);
      for (const each of this.panels) {
        each.drawn = null;
        if (each.isNear) this.draw(each);
      }
      this.say();
      this.table();
    }

    say() {
      const { settled: settings } = this, said = [];
      const seen = this.panels.reduce((sum, { panel }) => sum + this.seen(panel).length, 0);
      const all = this.panels.reduce((sum, { panel }) => sum + panel.fits.reduce((n, fit) => n + laws.points[fit.points].y.length, 0), 0);
      if (seen < all) said.push(`${seen} of ${all} points are shown.`);
      if (settings.x) said.push(`The laws are over ${(laws.axes[this.choices[0]] || this.choices[0]).toLowerCase()}: over another axis the points stand alone, without a curve.`);
      if (settings.residuals) said.push("Each point is shown by how far it stands above its law; other forms by how far they do.");
      this.part("said").textContent = said.join(" ");
    }

    seen(panel) {
      return chart.points(panel, this.settled).filter((point) => !this.settled.zoom || chart.inside(point, this.ends(panel)));
    }

    async draw(each) {
      const { panel, plot } = each, turn = (each.turn += 1);
      each.drawn = this.settled;
      const spec = chart.spec(panel, this.settled, this.ends(panel), this.panels.length === 1 ? HEIGHT.one : HEIGHT.many);
      const holder = element("div", { className: "holder" });
      holder.style.width = `${plot.clientWidth}px`; // not yet in the page, where it has no width of its own
      const made = await window.vegaEmbed(plot.appendChild(holder), spec, {
        actions: false, renderer: "canvas", expressionFunctions: { neuroscalingTick: chart.tickWords },
        tooltip: { theme: scheme() === "dark" ? "dark" : "light" },
      });
      if (turn !== each.turn) { made.finalize(); holder.remove(); return; }
      holder.style.width = "";
      each.made?.finalize();
      plot.replaceChildren(holder);
      Object.assign(each, { made, view: made.view });
      plot.dataset.drawn = turn;
      let box = null;
      made.view.addSignalListener("brush", (_, value) => { box = value; });
      made.view.addEventListener("click", (_, item) => { if (item?.datum?.run) state.set("run", item.datum.run === state.get("run") ? null : item.datum.run); });
      plot.onpointerup = () => setTimeout(() => {
        if (!box?.x || !box?.y || turn !== each.turn) return;
        const ends = [[...box.x].sort((a, b) => a - b), [...box.y].sort((a, b) => a - b)].flat();
        this.set("zoom", `${this.panels.indexOf(each)}:${ends.map((end) => +end.toPrecision(4)).join(",")}`);
      });
      plot.ondblclick = () => this.set("zoom", null);
      plot.onkeydown = (event) => this.keyed(event, each);
      if (this.settled !== each.drawn) this.draw(each);
      else if (state.get("run") !== each.drawn.run) this.mark(each);
    }

    keyed(event, each) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "+") this.zoomBy(0.5);
      else if (event.key === "-") this.zoomBy(2);
      else if (event.key === "0") this.set("zoom", null);
      else if (event.key === "Escape") state.set("run", null);
      else if (step) {
        const found = this.seen(each.panel).sort((a, b) => a.x - b.x || a.y - b.y);
        const now = found.findIndex((point) => point.run === state.get("run"));
        // Points of one network (subjects, sessions) are passed in one step.
        for (let i = now < 0 ? (step > 0 ? 0 : found.length - 1) : now + step; found[i]; i += step) {
          if (found[i].run !== state.get("run")) { state.set("run", found[i].run); break; }
        }
      } else return;
      event.preventDefault();
    }

    // Half of the range around its middle, or twice as much; of the whole group, whose axes are shared.
    zoomBy(factor) {
      const ends = this.ends(this.panels[0].panel), log = this.settled.scale === "log";
      const scaled = ([low, high], isLog) => {
        const [a, b] = isLog ? [Math.log(low), Math.log(high)] : [low, high], middle = (a + b) / 2, half = (factor * (b - a)) / 2;
        return (isLog ? [Math.exp(middle - half), Math.exp(middle + half)] : [middle - half, middle + half]).map((end) => +end.toPrecision(4));
      };
      this.set("zoom", `0:${[...scaled(ends.x, log), ...scaled(ends.y, false)].join(",")}`);
    }

    mark(each) {
      if (!each.view) return;
      this.settled = each.drawn = { ...this.settled, run: state.get("run") };
      each.view.data("selected", chart.rows(each.panel, this.settled).selected).runAsync();
    }

    table() {
      const part = this.part("seen");
      if (!part.open) return;
      const { columns, rows } = this.records(), MOST = 500;
      const head = element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name))));
      const body = element("tbody", {}, ...rows.slice(0, MOST).map((row) => element("tr", {}, ...row.map((cell) => element("td", { className: typeof cell === "number" ? "number" : "" }, words(cell))))));
      const caption = element("caption", {}, rows.length > MOST ? `The first ${MOST} of ${rows.length} points; CSV has all.` : `${rows.length} points.`);
      part.querySelector("table").replaceChildren(caption, head, body);
    }

    // What is seen, a row a point.
    records() {
      const facts = laws.networks.columns, quantity = this.panels[0].panel.quantity;
      const xs = [...new Set(this.panels.flatMap(({ panel }) => panel.fits.map((fit) => chart.column(fit, this.settled))))].filter((name) => !facts.includes(name));
      const columns = ["law", ...facts, "subject", "layer", ...xs, quantity, "error", "ceiling", "residual"];
      const rows = this.panels.flatMap(({ panel }) => this.seen(panel).map((point) => [
        point.fit.name, ...point.network, point.subject, point.layer, ...xs.map((name) => (chart.column(point.fit, this.settled) === name ? point.x : null)),
        point.score, point.error, panel.ceiling, point.fit.residual?.[point.i] ?? null,
      ]));
      return { columns, rows };
    }

    async download(kind) {
      if (kind === "CSV") {
        const { columns, rows } = this.records();
        const cell = (value) => (value === null || value === undefined ? "" : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
        return save(new Blob([[columns, ...rows].map((row) => row.map(cell).join(",")).join("\n"), "\n"], { type: "text/csv" }), `${this.name}.csv`);
      }
      for (const each of this.panels) if (each.drawn !== this.settled || !each.view) await this.draw(each);
      const picture = await this.picture();
      if (kind === "SVG") return save(new Blob([picture.svg], { type: "image/svg+xml" }), `${this.name}.svg`);
      const image = new Image();
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(picture.svg)}`;
      await image.decode();
      const canvas = element("canvas", { width: 2 * picture.width, height: 2 * picture.height });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, `${this.name}.png`));
    }

    // All panels as one picture, with their titles and the legend.
    async picture() {
      const parts = await Promise.all(this.panels.map(({ view }) => view.toSVG()));
      const style = getComputedStyle(document.documentElement), paper = style.getPropertyValue("--paper"), text = style.getPropertyValue("--ink");
      const read = parts.map((part) => new DOMParser().parseFromString(part, "image/svg+xml").documentElement);
      const [wide, high] = ["width", "height"].map((side) => Math.ceil(Math.max(...read.map((svg) => Number(svg.getAttribute(side))))));
      const across = Math.min(3, read.length), down = Math.ceil(read.length / across), row = high + 34;
      const keys = this.keys.filter(({ token, mark }) => !this.settled.hidden.has(token) && mark.textContent);
      const height = down * row + 10 + 20 * Math.ceil(keys.length / 4), width = Math.max(across * (wide + 14), 480);
      const letters = `font-family="Verdana, 'DejaVu Sans', sans-serif" fill="${text}"`;
      const escape = (words) => words.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]);
      const body = read.map((svg, i) => {
        const [x, y] = [(i % across) * (wide + 14), Math.floor(i / across) * row];
        svg.setAttribute("x", x);
        svg.setAttribute("y", y + 26);
        const { panel } = this.panels[i], simulated = panel.simulated ? " (simulated data)" : "";
        return `<text x="${x + 8}" y="${y + 18}" font-size="13" font-weight="bold" ${letters}>${escape(panel.title + simulated)}</text>${new XMLSerializer().serializeToString(svg)}`;
      });
      const legend = keys.map(({ button, colors }, i) => {
        const [sign, ...rest] = button.textContent.split(" "), x = 8 + (i % 4) * (width / 4), y = down * row + 18 + 20 * Math.floor(i / 4);
        return `<text x="${x}" y="${y}" font-size="11" ${letters}><tspan fill="${chart.ink(colors)}">${escape(sign)}</tspan> ${escape(rest.join(" "))}</text>`;
      });
      const open = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`;
      return { width, height, svg: `${open}<rect width="100%" height="100%" fill="${paper}"/>${body.join("")}${legend.join("")}</svg>` };
    }
  }

  function save(blob, name) {
    const link = element("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  const figures = [...document.querySelectorAll("[data-figure]")].map((node) => new Figure(node));
  window.neuroscaling.figures = figures;
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const figure = figures.find((each) => each.node.contains(target));
      const each = figure.panels.find(({ plot }) => plot === target);
      each.isNear = isIntersecting;
      if (isIntersecting && each.drawn !== figure.settled) figure.draw(each);
    }
  }, { rootMargin: "200px" });
  for (const { plot } of figures.flatMap(({ panels }) => panels)) near.observe(plot);

  // Several keys of one address change at once: each figure is drawn once.
  const waiting = new Set();
  const later = (figure) => {
    if (!waiting.size) queueMicrotask(() => { for (const each of waiting) each.refresh(); waiting.clear(); });
    waiting.add(figure);
  };
  state.subscribe("*", (_, key) => {
    if (key === "hidden" || key === "scheme") figures.forEach(later);
    for (const figure of figures) if (key.startsWith(`fit.${figure.name}.`)) later(figure);
  });

  function selected() {
    for (const figure of figures) for (const each of figure.panels) if (each.drawn && each.drawn.run !== state.get("run")) figure.mark(each);
  }
  state.subscribe("run", selected);

  const show = () => document.getElementById(`fit-${state.get("fit")}`)?.scrollIntoView();
  if (state.get("fit")) show();
  window.addEventListener("hashchange", () => { if (location.hash.includes("fit=")) show(); });
  window.addEventListener("beforeprint", () => { for (const figure of figures) for (const each of figure.panels) if (!each.drawn) figure.draw(each); });
})();
