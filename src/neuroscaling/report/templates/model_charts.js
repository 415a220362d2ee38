// The charts of a network's page, as specifications of Vega-Lite with words for readers who don't see them.
"use strict";
neuroscaling.modelCharts = (() => {
  const { filters, scheme } = neuroscaling;
  const ROW = 30;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // Hues that stand out on white and on black paper, for lines that are told apart by marks too.
  const HUES = {
    light: ["#0072b2", "#b3400a", "#00775a", "#8a3f8f", "#6b5b00"],
    dark: ["#6db6e8", "#ff9a5c", "#4fd1a5", "#e09ad6", "#e6d25a"],
  };

  function look() {
    const [ink, muted, line] = ["ink", "muted", "line"].map(color);
    const text = { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
    return {
      background: "transparent", font: "system-ui, 'DejaVu Sans', sans-serif", view: { stroke: null },
      axis: { ...text, tickColor: muted, domainColor: muted, gridColor: line, labelLimit: 220 },
      legend: { ...text, orient: "bottom", labelLimit: 300 },
      range: { category: HUES[scheme()] },
    };
  }

  // Draw into `place`, where the chart that was there ends.
  const drawn = new WeakMap();
  async function draw(place, { spec, alt }) {
    drawn.get(place)?.finalize();
    const whole = {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json", description: alt, width: "container",
      autosize: { type: "fit", contains: "padding" }, config: look(), ...spec,
    };
    const tooltip = { theme: scheme() === "dark" ? "dark" : "light" };
    drawn.set(place, await vegaEmbed(place, whole, { actions: false, renderer: "svg", tooltip }));
  }

  // One row a region: this network's score as a point with its error, its neighbours' as ticks.
  // values: region, network, score, error, at (its scale, in words), is_own; scale: what `at` is of.
  function scores(values, scale) {
    const own = values.filter(({ is_own: isOwn }) => isOwn);
    const others = values.filter(({ is_own: isOwn }) => !isOwn);
    const y = { field: "region", type: "nominal", sort: null, title: null };
    const x = { field: "score", type: "quantitative", title: "score", scale: { zero: false }, axis: { tickCount: 6 } };
    const tooltip = [
      { field: "network" }, { field: "region" }, { field: "score", format: ".3f" }, { field: "error", format: ".3f" },
      ...(scale ? [{ field: "at", title: scale }] : []),
    ];
    const errors = own.filter(({ error }) => error !== null)
      .map((one) => ({ ...one, low: one.score - one.error, high: one.score + one.error }));
    const layers = [{
      data: { values: others }, encoding: { y, x, tooltip },
      mark: { type: "tick", thickness: 2, size: 16, opacity: 1, color: color("muted") },
    }, {
      data: { values: errors }, mark: { type: "rule", strokeWidth: 1.5, color: color("accent") },
      encoding: { y, x: { ...x, field: "low" }, x2: { field: "high" } },
    }, {
      data: { values: own }, encoding: { y, x, tooltip },
      mark: { type: "point", filled: true, size: 110, opacity: 1, color: color("accent") },
    }].filter(({ data }) => data.values.length);
    const said = own.map(({ region, score }) => `${region} ${filters.score(score)}`).join(", ");
    return {
      spec: { height: ROW * new Set(values.map(({ region }) => region)).size + 50, layer: layers },
      alt: `Scores of this network (points)${others.length ? " and of its neighbours in scale (ticks)" : ""}: ${said}`,
    };
  }

  const CURVES = {
    train_loss: ["loss", "training"], val_loss: ["loss", "validation"],
    val_accuracy: ["validation accuracy", "validation"],
  };

  // A chart for the loss and one for the accuracy, of those that are there. curves: by measure, epochs and values.
  function training(curves) {
    const values = Object.entries(curves).flatMap(([name, [epochs, all]]) => epochs.map((epoch, i) => (
      { measure: CURVES[name][0], images: CURVES[name][1], epoch, value: all[i] })));
    const domain = ["training", "validation"];
    return [...new Set(values.map(({ measure }) => measure))].map((measure) => {
      const own = values.filter((one) => one.measure === measure);
      const legend = measure === "loss" ? undefined : null;
      const images = { field: "images", type: "nominal", title: null, legend };
      const last = domain.map((images) => own.filter((one) => one.images === images).at(-1)).filter(Boolean);
      return {
        spec: {
          data: { values: own }, height: legend === null ? 160 : 190, mark: { type: "line", point: { size: 24 } },
          encoding: {
            x: { field: "epoch", type: "quantitative", axis: { tickMinStep: 1 } },
            y: { field: "value", type: "quantitative", title: measure, scale: { zero: measure !== "loss" } },
            color: { ...images, scale: { domain, range: [color("muted"), color("accent")] } },
            strokeDash: { ...images, scale: { domain, range: [[4, 3], [1, 0]] } },
            tooltip: [{ field: "images" }, { field: "epoch" }, { field: "value", title: measure, format: ".4f" }],
          },
        },
        alt: `Training curve: ${measure} by epoch, at the end ${
          last.map(({ images, value }) => `${filters.shown(value)} (${images})`).join(", ")}`,
      };
    });
  }

  // Mean score of each layer where layers were chosen on this network, a line a benchmark; rings are the chosen ones.
  function layers(choices) {
    const values = choices.flatMap(({ benchmark, layers: names, scores: all, chosen }) => names.map((layer, place) => (
      { benchmark, layer, place, score: all[place], is_chosen: layer === chosen })));
    const apart = { scale: { zero: false }, axis: { tickCount: 5 } };
    const benchmarks = { field: "benchmark", type: "nominal", title: null, legend: { columns: 1 } };
    const shape = { ...benchmarks, legend: null };
    const encoding = {
      y: { field: "layer", type: "nominal", sort: null, title: null },
      x: { field: "score", type: "quantitative", title: "score in the choice of layers", ...apart },
      color: benchmarks,
      tooltip: [{ field: "benchmark" }, { field: "layer" }, { field: "score", format: ".3f" }],
    };
    const rows = new Set(values.map(({ layer }) => layer)).size;
    return {
      spec: {
        data: { values }, height: 20 * rows + 60 + 20 * choices.length,
        layer: [
          { mark: { type: "line", strokeWidth: 1.5 }, encoding: { ...encoding, order: { field: "place" } } },
          { mark: { type: "point", filled: true, size: 50, opacity: 1 }, encoding: { ...encoding, shape } },
          {
            transform: [{ filter: "datum.is_chosen" }], encoding,
            mark: { type: "point", size: 190, opacity: 1, strokeWidth: 2 },
          },
        ],
      },
      alt: `Score of each layer where layers were chosen on this network; chosen: ${
        choices.map(({ benchmark, chosen }) => `${chosen} for ${benchmark}`).join(", ")}`,
    };
  }

  return { draw, scores, training, layers };
})();
