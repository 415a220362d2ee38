// The leaderboard: networks by regions, in the metric and with the mapping images that are chosen.
"use strict";
neuroscaling.leaderboard = (() => {
  const { data, state, filters, tables } = neuroscaling;
  const { networks, series, views } = data.leaderboard;
  const facts = tables.objects(networks);
  const BASELINES = ["untrained", "baseline"];
  const key = (part) => `table.leaderboard.${part}`;
  const mappings = [...new Set(views.map((view) => view.mapping))];
  const metrics = [...new Set(views.map((view) => view.metric))];
  const mostMapping = (mapping) => (mapping === null ? "the most of each" : filters.shown(mapping));

  // The view that the address asks for; another mapping of the same metric where that one is not there.
  function view() {
    const metric = state.get(key("metric")) ?? metrics[0];
    const mapping = state.get(key("mapping"));
    const own = views.filter((one) => one.metric === metric);
    const among = own.length ? own : views;
    return among.find((one) => String(one.mapping ?? "") === (mapping ?? "")) || among[0];
  }

  // What columns are called: their regions, with as much more as tells them apart.
  function names(chosen) {
    let found = chosen.map((i) => [series[i].region ?? series[i].benchmark ?? "score"]);
    const apart = (names) => new Set(names.map((parts) => parts.join())).size;
    for (const part of ["benchmark", "data", "test_set", "metric", "scale", "protocol"]) {
      const more = found.map((parts, place) => [...parts, series[chosen[place]][part]].filter(Boolean));
      if (apart(more) > apart(found)) {
        const isAlone = (parts) => found.filter((other) => other.join() === parts.join()).length === 1;
        found = found.map((parts, place) => (isAlone(parts) ? parts : more[place]));
      }
    }
    return found.map((parts) => parts.join(", "));
  }

  // A benchmark's name without its region, and with places where a narrow head may break it.
  function short(one) {
    const parts = (one.benchmark || "").split(".").filter((part) => part !== one.region);
    return (parts.at(-1) || "").replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])|(?<=[-_])/g, "\u200b");
  }

  function range([least, most]) {
    return least === most ? filters.shown(least) : `${filters.shown(least)} to ${filters.shown(most)}`;
  }

  function about(one) {
    return [
      [one.data, one.benchmark].filter((part, i, all) => part && all.indexOf(part) === i).join(", "),
      one.metric && `metric ${one.metric}`, one.scale && `scale ${one.scale}`,
      one.protocol && `protocol ${one.protocol}`,
      one.test_set && `images of the test: ${one.test_set}`,
      one.mapping && `${range(one.mapping)} mapping images`,
      one.averaged > 1 && `mean of ${one.averaged} ${one.units}, ± its standard error`,
      one.averaged === 1 && one.errors.some((value) => value !== null) && "± the score's own error",
      one.ceiling !== null && `ceiling ${filters.score(one.ceiling)}`,
      one.simulated && "simulated recordings",
    ].filter(Boolean).join("; ");
  }

  // A score with its error; of fewer subjects than others have, that is told.
  function scored(one, i) {
    const value = one.scores[i];
    if (value === null) return "–";
    const isFew = one.counts && one.counts[i] < one.averaged;
    const title = isFew ? `mean of ${one.counts[i]} of ${one.averaged} ${one.units}` : null;
    return tables.element("span", { class: isFew ? "few" : null, title }, filters.score(value),
      one.errors[i] === null ? null : tables.element("small", {}, ` ±${filters.score(one.errors[i])}`));
  }

  function scoreColumn(i, name) {
    const one = series[i];
    const below = [
      short(one), [one.metric, one.scale].filter(Boolean).join(", "),
      one.ceiling === null ? null : `ceiling ${filters.score(one.ceiling)}`,
      one.averaged > 1 ? `${one.averaged} ${one.units}` : null, one.simulated ? "simulated" : null,
    ].filter(Boolean);
    return {
      field: `score${i}`, title: name, numeric: true, about: about(one), below, width: 124,
      show: (row) => scored(one, row.place),
      download: [name, one.metric, one.scale].filter(Boolean).join(" "),
    };
  }

  function columns(chosen) {
    const named = names(chosen.series);
    const by = `${chosen.mean_of.length ? "the mean" : named[0]}, ${isLoss(chosen) ? "least" : "most"} first`;
    const rank = {
      field: "rank", title: "rank", numeric: true, width: 68, frozen: true, about: `By ${by}; baselines have no rank`,
    };
    const regions = [...new Set(chosen.mean_of.map((i) => series[i].region))];
    const run = { field: "run", title: tables.title("run"), frozen: true, width: isNarrow() ? 170 : 280 };
    const mean = {
      field: "mean", title: "mean", numeric: true, width: 92, show: (row) => filters.score(row.mean),
      about: `Mean over ${regions.join(", ")}; empty where one of them is`, below: [`${regions.length} regions`],
    };
    const rest = tables.plainColumns(networks).filter(({ field }) => field !== "run").map((column) => (
      column.field === "samples_per_class" ? { ...column, show: imagesPerClass, about: "0 finds all" } : column));
    const scores = chosen.series.map((i, place) => scoreColumn(i, named[place]));
    return [rank, run, ...(regions.length ? [mean] : []), ...scores, ...rest];
  }

  // The score table has 0 for all images of a class, and for networks that were not trained here.
  function imagesPerClass({ samples_per_class: images, kind }) {
    return images === 0 ? (kind === "trained" ? "all" : "–") : filters.shown(images);
  }

  const isLoss = (chosen) => series[chosen.mean_of[0] ?? chosen.series[0]].scale === "loss";
  const isNarrow = () => matchMedia("(max-width: 40rem)").matches;

  function rows(chosen) {
    return facts.map((fact, place) => ({
      ...fact, place, is_baseline: BASELINES.includes(fact.kind),
      rank: chosen.ranks[place], mean: chosen.means[place],
      ...Object.fromEntries(chosen.series.map((i) => [`score${i}`, series[i].scores[place]])),
    }));
  }

  function option(select, values, text, now) {
    select.replaceChildren(...values.map((value) => tables.element("option", { value: value ?? "" }, text(value))));
    select.value = now ?? "";
    select.closest("label").hidden = values.length < 2;
  }

  let table = null;
  function draw() {
    const chosen = view();
    if (table) { for (const end of table.ends || []) end(); table.grid.destroy(); }
    option(document.querySelector("[data-metric]"), metrics, (metric) => metric ?? "–", chosen.metric);
    option(document.querySelector("[data-mapping]"), mappings, mostMapping, chosen.mapping);
    table = tables.draw("leaderboard", {
      columns: columns(chosen), rows: rows(chosen), total: facts.length,
      sort: {
        column: chosen.mean_of.length ? "mean" : `score${chosen.series[0]}`, dir: isLoss(chosen) ? "asc" : "desc",
      },
    });
    table.follows = true;
  }

  if (views.length) {
    const keep = document.querySelector("[data-baselines]");
    keep.closest("label").hidden = !facts.some(({ kind }) => BASELINES.includes(kind));
    keep.checked = state.get(key("baselines")) === "kept";
    keep.addEventListener("change", () => state.set(key("baselines"), keep.checked ? "kept" : null));
    state.subscribe(key("baselines"), () => {
      keep.checked = state.get(key("baselines")) === "kept";
      table.grid.refreshFilter();
    });
    for (const part of ["metric", "mapping"]) {
      const select = document.querySelector(`[data-${part}]`);
      select.addEventListener("change", () => state.set(key(part), select.value));
      state.subscribe(key(part), draw);
    }
    draw();
  }
  return { facts, series, views, view, names, imagesPerClass };
})();
