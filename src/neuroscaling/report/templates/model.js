// One network: its training, layers, scores beside its neighbours in scale, settings. The address #run=NAME opens it.
"use strict";
(() => {
  const section = document.getElementById("model");
  if (!section) return;
  const { data: { pages }, state, filters, tables, leaderboard, modelCharts } = neuroscaling;
  const { element, linkTo } = tables;
  const { facts, series } = leaderboard;
  const NEIGHBOURS = 8;
  const SCALES = {
    n_params: "parameters", n_samples: "training images", n_samples_seen: "images seen", total_flops: "training compute",
  };
  const placeOf = new Map(facts.map(({ run }, place) => [run, place]));
  const part = (name) => section.querySelector(`[data-model="${name}"]`);
  const named = document.getElementById("model-name");
  const bar = document.getElementById("selection");

  // --- its scores beside those of its neighbours ---

  // How far two networks are apart on a scale; those of unknown scale are far.
  function away(one, other, scale) {
    const [a, b] = [facts[one][scale], facts[other][scale]];
    return a > 0 && b > 0 ? Math.abs(Math.log(a / b)) : 100;
  }

  // The nearest on a scale; among equals those that the other scales have nearer.
  function neighbours(place, scale) {
    const others = (other) => Object.keys(SCALES).reduce((sum, one) => sum + away(place, other, one), 0);
    return facts.map((_, other) => ({ other, near: away(place, other, scale), rest: others(other) }))
      .filter(({ other }) => other !== place && facts[other][scale] > 0)
      .sort((a, b) => a.near - b.near || a.rest - b.rest || a.other - b.other)
      .slice(0, NEIGHBOURS).map(({ other }) => other);
  }

  function writeScores(place, view, names) {
    const usable = Object.keys(SCALES).filter((scale) => facts[place][scale] > 0);
    const select = part("scale");
    const scale = usable.includes(state.get("model.scale")) ? state.get("model.scale") : usable[0];
    select.replaceChildren(...usable.map((one) => element("option", { value: one }, SCALES[one])));
    select.closest("p").hidden = !scale;
    if (scale) select.value = scale;
    const near = scale ? neighbours(place, scale) : [];
    const size = (other) => filters.shown(facts[other][scale]);
    part("neighbours").replaceChildren(...(near.length
      ? [`Nearest by ${SCALES[scale]} (${size(place)}): `,
        ...near.flatMap((other, i) => [i ? ", " : "", linkTo(facts[other].run), ` (${size(other)})`])]
      : ["No neighbours: its scale is 0 or not known, or no other network has one."]));
    const values = view.series.flatMap((i, row) => [place, ...near].map((other) => ({
      region: names[row], network: facts[other].run, score: series[i].scores[other], error: series[i].errors[other],
      at: scale ? size(other) : null, is_own: other === place,
    }))).filter(({ score }) => score !== null);
    part("scores").hidden = !values.length;
    return values.length ? [[part("scores"), modelCharts.scores(values, scale && SCALES[scale])]] : [];
  }

  // --- training, layers, settings ---

  function writeTraining(curves) {
    const charts = modelCharts.training(curves);
    part("training").hidden = !charts.length;
    const box = part("training").querySelector(".chart");
    box.replaceChildren(...charts.map(() => element("div")));
    return charts.map((chart, i) => [box.children[i], chart]);
  }

  function writeLayers(place, view, names, choices) {
    const rows = view.series.map((i, row) => [names[row], series[i].layer_names[series[i].layers[place]]])
      .filter(([, layer]) => layer !== undefined);
    part("layers").hidden = !rows.length && !choices.length;
    const head = element("tr", {}, element("th", { scope: "col" }, "region"),
      element("th", { scope: "col" }, "layer (the most frequent)"));
    const lines = rows.map(([name, layer]) => (
      element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, layer))));
    part("layer-rows").replaceChildren(...(rows.length
      ? [element("table", {}, element("thead", {}, head), element("tbody", {}, ...lines))] : []));
    const box = part("layers").querySelector(".chart");
    box.hidden = !choices.length;
    return choices.length ? [[box, modelCharts.layers(choices)]] : [];
  }

  function words(value) {
    if (Array.isArray(value)) return value.map(words).join(", ");
    if (value === null || typeof value !== "object") return String(value);
    return Object.entries(value).map(([key, own]) => `${key} ${words(own)}`).join(", ");
  }

  function listed(heading, settings, open) {
    if (!settings || !Object.keys(settings).length) return [];
    const rows = Object.entries(settings).flatMap(([key, value]) => [
      element("dt", {}, key.replaceAll("_", " ")), element("dd", {}, words(value))]);
    return [element("details", open ? { open: "" } : {}, element("summary", {}, heading), element("dl", {}, ...rows))];
  }

  function writeSettings(fact, page) {
    const shown = (key, value) => (
      key === "samples_per_class" ? leaderboard.imagesPerClass(fact) : filters.shown(value));
    const known = Object.entries(fact).filter(([key, value]) => key !== "run" && value !== null)
      .map(([key, value]) => [tables.title(key), shown(key, value)]);
    const own = page && { ...page.own, ...(page.seconds ? { seconds: Math.round(page.seconds) } : {}) };
    part("settings").querySelector("div").replaceChildren(
      ...listed("Network", Object.fromEntries(known), true), ...listed("Run", own),
      ...listed("Recipe", page && pages.shared[page.recipe]),
      ...listed("Architecture", page && pages.shared[page.network]),
      ...listed("Made with", page && pages.shared[page.made]));
  }

  // --- the page ---

  function inShort(place, ranks) {
    const fact = facts[place];
    const ranked = ranks.filter((rank) => rank !== null).length;
    return [
      [fact.arch_family, fact.arch].filter(Boolean).join(" "), fact.kind,
      fact.dataset && `${fact.dataset}${fact.n_samples ? `, ${filters.shown(fact.n_samples)} images` : ""}`,
      fact.n_params && `${filters.shown(fact.n_params)} parameters`,
      typeof fact.acc === "number" && `accuracy ${filters.score(fact.acc)}`,
      ranks[place] ? `rank ${ranks[place]} of ${ranked}` : "no rank",
    ].filter(Boolean).join(" · ");
  }

  function button(text, act, attributes = {}) {
    const made = element("button", { type: "button", ...attributes }, text);
    made.addEventListener("click", act);
    return made;
  }

  function writeLinks(run) {
    const scores = element("a", { href: `#${new URLSearchParams({ "table.scores.filter": run })}` }, "its scores");
    scores.addEventListener("click", () => document.getElementById("scores").scrollIntoView());
    part("links").replaceChildren(
      element("a", { href: "#leaderboard" }, "in the leaderboard"), scores,
      element("a", { href: "#laws" }, "its points in the figures"), button("Close", () => state.set("run", null)));
  }

  let waiting = null; // the network whose page nobody has come to look at yet
  let written = null;

  function write(run) {
    [waiting, written] = [null, run];
    const place = placeOf.get(run);
    const view = leaderboard.view() || { series: [], ranks: [] };
    const names = leaderboard.names(view.series);
    const page = pages.runs[run];
    part("facts").textContent = inShort(place, view.ranks);
    writeLinks(run);
    writeSettings(facts[place], page);
    const charts = [
      ...writeScores(place, view, names), ...writeTraining(page ? page.curves : {}),
      ...writeLayers(place, view, names, pages.layers[run] || []),
    ];
    for (const [box, chart] of charts) modelCharts.draw(box, chart);
  }

  function select(run) {
    const isKnown = placeOf.has(run);
    section.hidden = bar.hidden = !isKnown;
    [waiting, written] = [isKnown ? run : null, null];
    if (!isKnown) return;
    named.replaceChildren("Network ", element("code", {}, run));
    bar.replaceChildren(
      element("span", {}, "Selected: ", element("code", {}, run)), button("Open its page", goTo),
      button("✕", () => state.set("run", null), { "aria-label": "Select no network" }));
    coming.unobserve(section);
    coming.observe(section);
  }

  function goTo() {
    if (section.hidden) return;
    if (waiting) write(waiting);
    section.scrollIntoView();
    named.focus({ preventScroll: true });
  }

  const coming = new IntersectionObserver(([entry]) => {
    if (waiting && entry.isIntersecting) write(waiting);
  }, { rootMargin: "300px" });
  const there = new IntersectionObserver(([entry]) => bar.classList.toggle("quiet", entry.isIntersecting));
  there.observe(section);
  part("scale").addEventListener("change", () => state.set("model.scale", part("scale").value));
  state.subscribe("run", select);
  for (const key of ["model.scale", "table.leaderboard.metric", "table.leaderboard.mapping", "scheme"]) {
    state.subscribe(key, () => { if (written) write(written); });
  }
  // A link on a network's name opens its page; a row or point that is selected leaves the reader where they are.
  document.addEventListener("click", (event) => {
    const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (isPlain && event.target.closest?.('a[href^="#run="]')) setTimeout(goTo);
  });
  if (state.get("run")) {
    select(state.get("run"));
    if (/^#run=[^&]*$/.test(location.hash)) goTo();
  }
})();
