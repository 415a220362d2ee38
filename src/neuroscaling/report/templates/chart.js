// One panel of a law's figure: which points and curves are seen, and the chart that shows them. Pure functions of the
// page's data and of settings {x, scale, residuals, zoom, hidden, run}; nothing here touches the page.
"use strict";
window.neuroscaling.chart = (() => {
  const { data, scheme } = window.neuroscaling;
  const laws = data.laws;
  const place = Object.fromEntries(laws.networks.columns.map((name, i) => [name, i]));
  const TIPS = {
    arch: "architecture", arch_family: laws.family || "family", dataset: "trained on", samples_per_class: "images per class", seed: "seed",
    recipe: "recipe", kind: "kind", n_params: "parameters", n_samples: "training images", n_samples_seen: "images seen",
    total_flops: "training FLOPs", acc: "accuracy",
  };
  const FEW = 30, MANY = 100;
  const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
  const ink = (colors) => colors[scheme() === "dark" ? 1 : 0];

  // 1200 -> 1,200; 25557032 -> 25.6 million; 2.4e17 -> 2.4·10¹⁷
  function words(value) {
    if (!isNumber(value)) return value === null || value === undefined ? "–" : String(value);
    const size = Math.abs(value);
    if (size >= 1e12 || (size > 0 && size < 1e-4)) {
      const exponent = Math.floor(Math.log10(size));
      return `${+(value / 10 ** exponent).toPrecision(3)}·${power(exponent)}`;
    }
    if (size >= 1e9) return `${+(value / 1e9).toPrecision(3)} billion`;
    if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)} million`;
    return (+value.toPrecision(size >= 100 ? 6 : 3)).toLocaleString("en");
  }

  function power(exponent) {
    const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPT[digit]).join("");
    return `10${exponent < 0 ? "⁻" : ""}${digits}`;
  }

  // The column on the x axis of a fit, and whether its law is over that column.
  const column = (fit, settings) => settings.x || fit.x;

  // All points of a panel that have a place under the settings; those of hidden families are left out.
  function points(panel, settings) {
    const found = [];
    for (const fit of panel.fits) {
      const of = laws.points[fit.points], name = column(fit, settings);
      const own = name === fit.x ? of.x : undefined;
      of.y.forEach((score, i) => {
        const network = laws.networks.rows[of.network[i]];
        const family = network[place.arch_family] || "";
        if (settings.hidden.has(family) && family) return;
        const x = own ? own[i] : network[place[name]];
        const y = settings.residuals ? fit.residual?.[i] : score;
        if (!isNumber(x) || !isNumber(y) || (settings.scale === "log" && x <= 0)) return;
        const error = of.error?.[i];
        found.push({ x, y, error: isNumber(error) ? error : null, family, network, fit, i, score, subject: of.subject?.[i] || "",
          layer: of.layer?.[i] || "", run: network[place.run] });
      });
    }
    return found;
  }

  function tip(point, panel) {
    const shown = { title: point.run };
    const score = point.error === null ? words(point.score) : `${words(point.score)} ± ${words(point.error)}`;
    shown[panel.y.toLowerCase()] = score;
    if (isNumber(panel.ceiling)) shown.ceiling = words(panel.ceiling);
    if (point.layer) shown.layer = point.layer;
    if (point.subject) shown["subject or session"] = point.subject;
    if (isNumber(point.fit.residual?.[point.i])) shown["above the law"] = words(point.fit.residual[point.i]);
    const ownX = point.fit.x;
    if (!(ownX in TIPS)) shown[(laws.axes[ownX] || ownX).toLowerCase()] = words(point.x0);
    for (const [name, title] of Object.entries(TIPS)) {
      const value = point.network[place[name]];
      if (name === "samples_per_class" && !value) {
        if (point.network[place.kind] === "trained") shown[title] = "all";
      } else if (value !== null && value !== undefined && value !== "") shown[title] = words(value);
    }
    return shown;
  }

  // Where many points share few x, families stand a little apart.
  function shifts(found, settings) {
    const families = [...new Set(found.map((point) => point.family))].sort();
    const places = new Set(found.map((point) => point.x));
    if (settings.scale !== "log" || families.length < 2 || places.size > found.length / 4) return () => 1;
    const [low, high] = extent([...places]);
    const step = 0.018 * Math.log(high / low);
    return (family) => Math.exp(step * (families.indexOf(family) - (families.length - 1) / 2));
  }

  function extent(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return low <= high ? [low, high] : null;
  }

  // Curves of a panel, the law's first; empty where the x axis is not that of the laws.
  function curves(panel, settings) {
    const found = [];
    for (const fit of panel.fits) {
      if (column(fit, settings) !== fit.x || !fit.curve || (fit.family && settings.hidden.has(fit.family))) continue;
      const several = panel.fits.length > 1;
      const color = several ? ink(laws.looks[fit.family].colors) : ink(laws.ink);
      const zero = settings.residuals ? fit.curve.y : null;
      const all = settings.hidden.has(":law") ? [] : [{ ...fit.curve, color, dash: [1, 0], width: 2, law: fit.name }];
      for (const form of fit.forms) {
        const look = laws.forms[form.form];
        if (settings.hidden.has(`form:${form.form}`)) continue;
        all.push({ ...form, color: ink(look.colors), dash: look.dash.length ? look.dash : [1, 0], width: 1.3, law: `${fit.name} ${form.form}` });
      }
      for (const each of all) {
        if (zero && each.y.length !== zero.length) continue;
        const less = (value, i) => (zero ? value - zero[i] : value);
        const banded = each.low && !settings.hidden.has(":band");
        found.push(...each.x.map((x, i) => ({ x, y: each.y[i] === null ? null : less(each.y[i], i), color: each.color, dash: each.dash,
          width: each.width, law: each.law, low: banded ? less(each.low[i], i) : null, high: banded ? less(each.high[i], i) : null }))
          .filter((row) => isNumber(row.y) && (settings.scale !== "log" || row.x > 0)));
      }
    }
    return found;
  }

  const levels = (panel, settings) => (settings.residuals || settings.hidden.has(":levels") ? [] : panel.levels);

  // The axes of a group's panels: one range of x for those of one column, one of y for those of one scale.
  function domains(panels, settings) {
    const x = {}, y = {};
    for (const panel of panels) {
      const found = points(panel, settings), drawn = curves(panel, settings).filter((row) => row.width === 2);
      const name = column(panel.fits[0], settings), scale = panel.scale;
      (x[name] ||= []).push(...found.map((point) => point.x), ...drawn.map((row) => row.x));
      (y[scale] ||= []).push(...found.map((point) => point.y), ...drawn.map((row) => row.y),
        ...levels(panel, settings).flatMap((level) => level.y));
    }
    const padded = (values, log) => {
      const ends = extent(values);
      if (!ends) return null;
      if (log) {
        const margin = Math.max(0.04 * Math.log10(ends[1] / ends[0]), 0.03);
        return [ends[0] / 10 ** margin, ends[1] * 10 ** margin];
      }
      const margin = 0.06 * (ends[1] - ends[0]) || 0.05 * Math.abs(ends[0]) || 0.05;
      return [ends[0] - margin, ends[1] + 1.6 * margin];
    };
    for (const name of Object.keys(x)) x[name] = padded(x[name], settings.scale === "log");
    for (const scale of Object.keys(y)) y[scale] = padded(y[scale], false);
    const zoom = settings.zoom;
    return (panel) => ({
      x: (zoom && zoom.x) || x[column(panel.fits[0], settings)] || [1, 10],
      y: (zoom && zoom.scale === panel.scale && zoom.y) || y[panel.scale] || [0, 1],
    });
  }

  const inside = (point, { x, y }) => point.x >= x[0] && point.x <= x[1] && point.y >= y[0] && point.y <= y[1];

  // Ticks of a logarithmic axis: powers of ten, or 1, 2, 5 (and more) of a short one.
  function logTicks([low, high]) {
    const decades = Math.log10(high / low), ticks = [];
    const digits = decades > 2.2 ? [1] : decades > 0.9 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const every = Math.max(1, Math.ceil(decades / 5));
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1) {
      for (const digit of digits) {
        const value = digit * 10 ** e;
        if (value >= low && value <= high && (e % every === 0 || digits.length > 1)) ticks.push(+value.toPrecision(6));
      }
    }
    return ticks.length > 1 ? ticks : undefined;
  }

  function tickWords(value) {
    const size = Math.abs(value);
    if (size >= 1e9) {
      const exponent = Math.floor(Math.log10(size) + 1e-9), leading = +(value / 10 ** exponent).toPrecision(3);
      return leading === 1 ? power(exponent) : `${leading}·${power(exponent)}`;
    }
    return size >= 1e6 ? `${+(value / 1e6).toPrecision(6)}M` : size >= 1e4 ? `${+(value / 1e3).toPrecision(6)}k` : String(+value.toPrecision(6));
  }

  function rows(panel, settings) {
    const found = points(panel, settings), shift = shifts(found, settings);
    const sizes = extent(found.map((point) => point.network[place.n_params]).filter((n) => isNumber(n) && n > 0));
    const many = found.length > MANY;
    const area = (n) => {
      if (!sizes || sizes[0] === sizes[1]) return many ? 36 : 62;
      const part = isNumber(n) && n > 0 ? Math.log(n / sizes[0]) / Math.log(sizes[1] / sizes[0]) : 0;
      return (40 + 90 * part) * (many ? 0.55 : 1);
    };
    const drawn = found.map((point) => {
      const look = laws.looks[point.family], size = area(point.network[place.n_params]);
      return { x: point.x * shift(point.family), y: point.y, low: point.error === null ? null : point.y - point.error,
        high: point.error === null ? null : point.y + point.error, color: ink(look.colors), shape: look.shape, size, order: -size,
        run: point.run, tip: tip({ ...point, x0: point.x }, panel) };
    });
    const lines = curves(panel, settings);
    const horizontal = levels(panel, settings).filter((level) => !level.x.length).map((level) => (
      { y: level.y[0], label: level.label, color: ink(laws.muted) }));
    if (settings.residuals) horizontal.push({ y: 0, label: "", color: ink(laws.ink) });
    const own = column(panel.fits[0], settings) === panel.fits[0].x;
    return {
      points: drawn,
      errors: settings.hidden.has(":errors") ? [] : drawn.filter((row) => row.low !== null),
      selected: drawn.filter((row) => row.run === settings.run).map((row) => ({ ...row, size: 1.8 * row.size + 40, color: ink(laws.ink) })),
      curves: lines,
      band: lines.filter((row) => row.low !== null),
      levels: horizontal,
      lines: !own ? [] : levels(panel, settings).filter((level) => level.x.length).flatMap((level) =>
        level.x.map((x, i) => ({ x, y: level.y[i], label: level.label, color: ink(laws.muted) }))),
    };
  }

  // Words with room between them: moved up where they would run into each other.
  function apart(named, [low, high], height) {
    const room = (12 / height) * (high - low);
    let top = -Infinity;
    return named.filter((row) => row.y >= low && row.y <= high).sort((a, b) => a.y - b.y).map((row) => {
      top = Math.max(row.y, top + room);
      return { ...row, y: top };
    });
  }

  // The Vega-Lite specification of a panel; ends: its {x, y}.
  function spec(panel, settings, ends, height) {
    const made = structuredClone(laws.chart), shown = rows(panel, settings);
    let { y } = ends;
    if (isNumber(panel.ceiling) && !settings.residuals && !settings.hidden.has(":ceiling")) {
      const near = panel.ceiling <= y[1] + 0.25 * (y[1] - y[0]);
      if (near && !settings.zoom) y = [y[0], Math.max(y[1], panel.ceiling + 0.08 * (y[1] - y[0]))];
      const label = panel.ceiling > y[1] ? `ceiling ${words(panel.ceiling)} ↑` : "ceiling";
      // Beyond the axis its name stands at the upper end, and its line is cut.
      shown.levels.push({ y: Math.min(panel.ceiling, y[1] - 0.075 * (y[1] - y[0])), label, color: ink(laws.ink), beyond: panel.ceiling > y[1] });
    }
    const last = shown.lines.filter((row, i, all) => all[i + 1]?.label !== row.label);
    made.datasets = { ...shown, words: apart(shown.levels, y, height), ends: apart(last, y, height), rules: shown.levels.filter((level) => !level.beyond) };
    made.height = height;
    const name = column(panel.fits[0], settings);
    const encodings = {
      x: { scale: { type: settings.scale, domain: ends.x, nice: false, ...(settings.scale === "log" ? {} : { zero: false }) }, title: laws.axes[name] || name,
        axis: { values: settings.scale === "log" ? logTicks(ends.x) : undefined, tickCount: 5, labelExpr: "neuroscalingTick(datum.value)", labelOverlap: true } },
      y: { scale: { domain: y, nice: false, zero: false }, title: settings.residuals ? `${panel.y.split(" (")[0]} less the law` : panel.y,
        axis: { tickCount: 5 } },
    };
    for (const layer of made.layer) {
      for (const channel of ["x", "y"]) if (layer.encoding[channel]?.field) Object.assign(layer.encoding[channel], encodings[channel]);
    }
    made.layer.find((layer) => layer.data.name === "points").mark.stroke = scheme() === "dark" ? "#16191d" : "#ffffff";
    // Few points stand above the curve, many below it.
    if (shown.points.length > FEW) made.layer.splice(-1, 0, made.layer.splice(made.layer.findIndex((layer) => layer.data.name === "curves"), 1)[0]);
    made.config = theme();
    return made;
  }

  function theme() {
    const dark = scheme() === "dark";
    const soft = dark ? "#343a42" : "#e6e6e6", muted = ink(laws.muted), text = ink(laws.ink);
    const font = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
    return {
      background: null, font, view: { stroke: null },
      axis: { labelColor: text, titleColor: text, domainColor: muted, tickColor: muted, gridColor: soft, labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal" },
    };
  }

  return { laws, place, column, points, curves, domains, inside, spec, rows, words, tickWords, ink };
})();
