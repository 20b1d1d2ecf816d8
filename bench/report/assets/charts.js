// One function a chart: from the page's data to Observable Plot's marks. Nothing is computed here
// but positions; every statistic comes from the data. How high each is stands in `heights`, so that
// its place is kept before it is drawn. Each function of `charts` returns
//   plot     options for Plot.plot
//   items    what can be pointed at: x, y (in data), text, and seed where it belongs to one
//   numbers  columns and rows of the table behind the chart, unless the page has one already

const ANSWERS = { HOLDS: "✓", FAILS: "✗", UNDECIDED: "?" };

const OUTCOMES = {
  holds: { word: "holds", colour: "var(--holds-mark)", symbol: "circle", dash: null },
  misses: { word: "does not hold", colour: "var(--misses-mark)", symbol: "times", dash: "5,3" },
  diverged: { word: "diverged", colour: "var(--diverged-mark)", symbol: "asterisk", dash: "1,3" },
};

const INK = "var(--ink)";
const SOFT = "var(--soft)";
const COSTS = d3.range(15).flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));
const ERRORS = [1, 2, 3, 4].flatMap((power) => [7, 5, 3, 2, 1].map((digit) => digit / 10 ** power));

/**
 * An accuracy axis, logarithmic in the share of errors: halving them is the same step anywhere.
 * Returns Plot's scale, and the marks of its axis: Plot's own leaves labels of a log scale out.
 */
function accuracyAxis(shares, { along, pixels, apart = 24, label = null, grid = false }) {
  const shown = [...shares.filter((share) => share !== null), 1 - DATA.target].map((s) => Math.max(s, DATA.floor));
  const [low, high] = [Math.min(...shown) / 1.25, Math.min(1, Math.max(...shown) * 1.15)];
  const ticks = logTicks(ERRORS, [low, high], pixels, () => apart);
  return { scale: { type: "log", domain: [high, low], axis: null }, marks: drawAxis(along, ticks, (e) => format.proportion(1 - e), label, grid) };
}

/** Those candidates inside a domain that lie far enough from the one before. */
function logTicks(candidates, [low, high], pixels, apart) {
  const position = (value) => (pixels * Math.log(value / low)) / Math.log(high / low);
  const ticks = [];
  for (const value of d3.sort(candidates.filter((each) => each >= low && each <= high)))
    if (!ticks.length || position(value) - position(ticks.at(-1)) >= apart(value)) ticks.push(value);
  return ticks;
}

function drawAxis(along, ticks, write, label, grid) {
  const [axis, lines, arrow] = along === "x" ? [Plot.axisX, Plot.gridX, "right"] : [Plot.axisY, Plot.gridY, "up"];
  return [grid && lines(ticks), axis(ticks, { text: write, label, labelArrow: arrow })];
}

/** The largest and smallest of many numbers; Math.max takes no more than some ten thousand. */
const extent = (values) => d3.extent(values).filter((value) => value !== undefined);

const share = (section, errors) =>
  errors === null ? null : Math.max(errors, 0.5) / section.images;

/** A little room around a logarithmic table of rates; others begin at zero. */
function rateDomain(section) {
  if (!section.rates.length) return [0, 1];
  const [low, high] = d3.extent(section.rates, (each) => each.rate);
  return section.rates_logarithmic ? [low / 1.4, high * 1.2] : [Math.min(0, low), high * 1.05 || 1];
}

/** The best and the worst final window of all iterations: the axis that all strips share. */
const extentOfMinima = () =>
  extent(DATA.sections.flatMap((section) =>
    section.minima.filter((correct) => correct !== null).map((correct) => share(section, section.images - correct))));

const accuracyOf = (section, errors) => format.percent(section.images - errors, section.images);

const outcomeOf = (section, place) => section.outcomes[place];

/** One row for each seed and epoch of a measure. */
function unfold(section, measure) {
  const rows = [];
  section[measure].forEach((values, place) =>
    values.forEach((value, epoch) =>
      rows.push({ seed: section.seeds[place], place, outcome: section.outcomes[place], epoch: epoch + 1, value }),
    ),
  );
  return rows;
}

/** How strongly one of many seeds is drawn: the more there are, the fainter and smaller. */
const fade = (seeds) => Math.min(1, Math.max(0.2, Math.sqrt(40 / Math.max(seeds, 1))));

/** One line a seed, what fails on top of what holds; diverged seeds end in a cross. */
function seedLines(rows, y, { colour } = {}) {
  const seeds = new Set(rows.map((row) => row.seed)).size;
  const strokeOpacity = 0.65 * fade(seeds);
  return ["holds", "misses", "diverged"].flatMap((outcome) => {
    const own = rows.filter((row) => row.outcome === outcome);
    const stroke = colour ?? OUTCOMES[outcome].colour;
    const line = Plot.line(own, {
      x: "epoch", y, z: "seed", stroke, className: "seeds",
      strokeWidth: 1.25, strokeOpacity, strokeDasharray: seeds > CROWD ? null : OUTCOMES[outcome].dash,
    });
    const last = own.filter((row, at) => own[at + 1]?.seed !== row.seed);
    const alone = outcome === "diverged" ? last : last.filter((row) => row.epoch === 1);
    const end = Plot.dot(alone, { x: "epoch", y, stroke, symbol: OUTCOMES[outcome].symbol, r: 3, className: "seeds" });
    return [line, end];
  });
}

const countEpochs = (section) => d3.max([section.epochs, ...section.validation_errors.map((errors) => errors.length)]);

/** An epoch axis with the last epoch named, and before it as many as there is room for. */
function epochAxis(section, width) {
  const epochs = countEpochs(section);
  const every = Math.ceil((epochs * 26) / Math.max(width - 90, 26));
  return {
    domain: [0.5, epochs + 0.5], ticks: d3.range(epochs, 0, -every).reverse(), tickFormat: String, label: "Epoch",
  };
}

const windowMark = (section) =>
  Plot.rectX([0], {
    x1: section.epochs - section.window + 0.5, x2: section.epochs + 0.5, fill: "var(--shade)", className: "window",
  });

const targetLabel = () => `target ${format.proportion(DATA.target)}`;

const seedText = (section, place, rest) =>
  `Seed ${section.seeds[place]} (${OUTCOMES[section.outcomes[place]].word}): ${rest}`;

/** The height of each chart, from its section and its width, in pixels at 16 a rem. */
const heights = {
  strip: () => 80,
  accuracy: (_, width) => Math.min(460, Math.max(280, width * 0.45)),
  loss: () => 260,
  rate: () => 260,
  thresholds: () => 260,
  martingale: () => 260,
  best: () => 300,
  sensitivity: () => variationsHeight(1),
  variations: () => variationsHeight(DATA.sections.filter((section) => section.main).length),
  network: () => 190,
  confusion: (section) => 300 + confusionRoom(section),
  parameters: (_, width) => frontierHeight(width),
  macs: (_, width) => frontierHeight(width),
  steps: () => 60 + 44 * DATA.steps.length,
};

const charts = {
  /** All seeds' lowest accuracy in the window, as one strip on an axis that all strips share. */
  strip(section, { width }) {
    const x = accuracyAxis(extentOfMinima(), { along: "x", pixels: width - 40, apart: 56 });
    const dots = section.minima
      .map((correct, place) => ({
        place, seed: section.seeds[place], outcome: section.outcomes[place], correct,
        share: correct === null ? x.scale.domain[0] : share(section, section.images - correct),
        lift: ((place + 1) * 0.618034) % 1, // the golden ratio spreads neighbours apart
      }));
    const opacity = fade(dots.length);
    const r = 2 + 1.5 * opacity;
    return {
      plot: {
        marginLeft: 20, marginRight: 20, marginTop: 20, marginBottom: 20,
        x: x.scale, y: { domain: [0, 1], axis: null },
        marks: [
          ...x.marks,
          Plot.ruleX([1 - DATA.target], { stroke: INK, strokeWidth: 1.5, insetTop: -4, className: "target" }),
          Plot.text([1 - DATA.target], { x: (e) => e, frameAnchor: "top", dy: -13, text: targetLabel, fill: INK, fontSize: 11 }),
          Plot.dot(dots.filter((dot) => dot.outcome === "holds"), {
            x: "share", y: "lift", r, fill: OUTCOMES.holds.colour, fillOpacity: 0.75 * opacity, className: "seeds",
          }),
          ...["misses", "diverged"].map((outcome) =>
            Plot.dot(dots.filter((dot) => dot.outcome === outcome), {
              x: "share", y: "lift", r, stroke: OUTCOMES[outcome].colour, strokeWidth: 1.75, strokeOpacity: opacity,
              symbol: OUTCOMES[outcome].symbol, className: "seeds",
            }),
          ),
        ],
      },
      items: dots.map((dot) => ({
        x: dot.share, y: dot.lift, seed: dot.seed,
        text: seedText(section, dot.place, dot.correct === null
          ? "no whole final window"
          : `lowest of the last ${section.window} epochs ${accuracyOf(section, section.images - dot.correct)}`),
      })),
    };
  },

  /** Accuracy by epoch: every seed thin, their median and the band of the central share. */
  accuracy(section, { width, keys }) {
    const validation = unfold(section, "validation_errors");
    const training = keys.has("training")
      ? unfold(section, "training_errors").map((row) => ({ ...row, share: Math.max(row.value, 0.5) / section.training_images }))
      : [];
    for (const row of validation) row.share = share(section, row.value);
    const bands = section.bands.map((band) => ({
      ...band, median: share(section, section.images - band.median),
      lower: share(section, section.images - band.lower), upper: share(section, section.images - band.upper),
      training: Math.max(section.training_images - band.training, 0.5) / section.training_images,
    }));
    const shown = validation.filter((row) => keys.has(row.outcome));
    const shares = [...shown, ...training].map((row) => row.share);
    const y = accuracyAxis(extent(shares), { along: "y", pixels: heights.accuracy(section, width) - 60, label: "Accuracy", grid: true });
    return {
      plot: {
        marginLeft: 62, marginRight: 16, marginBottom: 40,
        x: epochAxis(section, width),
        y: y.scale,
        marks: [
          windowMark(section),
          ...y.marks,
          keys.has("band") && Plot.areaY(bands, {
            x: "epoch", y1: "lower", y2: "upper", fill: "var(--accent)", fillOpacity: 0.14, className: "band",
          }),
          ...seedLines(training, "share", { colour: "var(--training-mark)" }),
          keys.has("training") && Plot.line(bands, {
            x: "epoch", y: "training", stroke: "var(--training-mark)", strokeWidth: 2.5, strokeDasharray: "2,3", className: "median",
          }),
          ...seedLines(shown, "share"),
          keys.has("median") && Plot.line(bands, { x: "epoch", y: "median", stroke: INK, strokeWidth: 2.5, className: "median" }),
          Plot.ruleY([1 - DATA.target], { stroke: INK, strokeWidth: 1.5, className: "target" }),
          Plot.text([0], {
            x: () => 0.5, y: () => 1 - DATA.target, text: targetLabel, textAnchor: "start", dx: 6, dy: -8,
            fill: INK, stroke: "var(--paper)", strokeWidth: 4,
          }),
        ],
      },
      items: shown.map((row) => ({
        x: row.epoch, y: row.share, seed: row.seed,
        text: seedText(section, row.place, `epoch ${row.epoch}, ${accuracyOf(section, row.value)}, training ` +
          format.percent(section.training_images - section.training_errors[row.place][row.epoch - 1], section.training_images)),
      })),
      numbers: {
        columns: ["Seed", ...d3.range(1, countEpochs(section) + 1).map(String)],
        rows: section.validation_errors.map((errors, place) => [
          String(section.seeds[place]),
          ...d3.range(countEpochs(section)).map((at) =>
            errors[at] === undefined ? ABSENT : accuracyOf(section, errors[at])),
        ]),
      },
    };
  },

  /** Losses by epoch: validation of every seed, medians of validation and training. */
  loss(section, { width, keys }) {
    const rows = keys.has("seeds") ? unfold(section, "validation_loss").filter((row) => row.value > 0) : [];
    const bands = section.bands.filter((band) => band.validation_loss > 0 && band.training_loss > 0);
    return {
      plot: {
        marginLeft: 52, marginBottom: 40,
        x: epochAxis(section, width),
        y: { type: "log", label: "Loss in nats", ticks: 5, tickFormat: (v) => String(Number(v.toPrecision(2))), grid: true },
        marks: [
          windowMark(section),
          ...seedLines(rows, "value"),
          keys.has("training") && Plot.line(bands, {
            x: "epoch", y: "training_loss", stroke: "var(--training-mark)", strokeWidth: 2.5, strokeDasharray: "2,3", className: "median",
          }),
          keys.has("median") && Plot.line(bands, { x: "epoch", y: "validation_loss", stroke: INK, strokeWidth: 2.5, className: "median" }),
        ],
      },
      items: rows.length
        ? rows.map((row) => ({
            x: row.epoch, y: row.value, seed: row.seed,
            text: seedText(section, row.place, `epoch ${row.epoch}, validation loss ${format.loss(row.value)}`),
          }))
        : bands.map((band) => ({
            x: band.epoch, y: band.validation_loss,
            text: `Epoch ${band.epoch}: median validation loss ${format.loss(band.validation_loss)}, training ${format.loss(band.training_loss)}`,
          })),
      numbers: {
        columns: ["Epoch", "Seeds", "Median validation loss", "Median training loss"],
        rows: section.bands.map((band) => [
          String(band.epoch), format.count(band.runs), format.loss(band.validation_loss), format.loss(band.training_loss),
        ]),
      },
    };
  },

  /** The learning rate of the recipe, step by step. */
  rate(section) {
    return {
      plot: {
        marginLeft: 58, marginBottom: 40,
        x: { domain: [0, section.epochs], label: "Epochs done", ticks: Math.min(section.epochs, 8), tickFormat: String },
        y: {
          label: "Learning rate", grid: true, domain: rateDomain(section), type: section.rates_logarithmic ? "log" : "linear",
          tickFormat: (v) => String(Number(v.toPrecision(2))), ticks: 5,
        },
        marks: [Plot.line(section.rates, {
          x: "epoch", y: "rate", stroke: "var(--accent)", strokeWidth: 2, curve: "step-after", className: "rates",
        })],
      },
      items: section.rates.map((each) => ({
        x: each.epoch, y: each.rate,
        text: `After ${Number(each.epoch.toFixed(2))} epochs: learning rate ${Number(each.rate.toPrecision(3))}`,
      })),
      numbers: {
        columns: ["Epochs done", "Learning rate"],
        rows: section.rates.map((each) => [String(Number(each.epoch.toFixed(2))), String(Number(each.rate.toPrecision(3)))]),
      },
    };
  },

  /** The share of seeds at or above each threshold, with its exact bounds. */
  thresholds(section, { width }) {
    const steps = section.thresholds.map((each) => ({ ...each, x: Math.max(1 - each.threshold, DATA.floor) }));
    const x = accuracyAxis(extent(steps.map((step) => step.x)), {
      along: "x", pixels: width - 70, apart: 56, label: "Threshold for every epoch of the window",
    });
    return {
      plot: {
        marginLeft: 52, marginBottom: 40, x: x.scale,
        y: { domain: [0, 1], label: "Seeds at or above it", tickFormat: format.proportion, grid: true, ticks: 5 },
        marks: [
          ...x.marks,
          Plot.areaY(steps, {
            x: "x", y1: "lower", y2: "upper", fill: "var(--accent)", fillOpacity: 0.14, curve: "step-before", className: "band",
          }),
          Plot.ruleY([DATA.reliability], { stroke: SOFT, strokeDasharray: "4,3", className: "target" }),
          Plot.ruleX([1 - DATA.target], { stroke: INK, strokeWidth: 1.5, className: "target" }),
          Plot.line(steps, { x: "x", y: "share", stroke: "var(--accent)", strokeWidth: 2, curve: "step-before", className: "shares" }),
          Plot.dot(steps, { x: "x", y: "share", fill: "var(--accent)", r: 2.5, className: "shares" }),
        ],
      },
      items: steps.map((step) => ({
        x: step.x, y: step.share, text: `${step.label}: ${step.of} (${step.bounds})`,
      })),
    };
  },

  /** Both martingales after each seed, towards the threshold that decides. */
  martingale(section) {
    const { holds, fails, threshold } = section.paths;
    const after = section.paths.after ?? d3.range(1, holds.length + 1); // of very many seeds some
    const outcomes = new Map(section.seeds.map((seed, place) => [seed, OUTCOMES[section.outcomes[place]].word]));
    const path = (name, logs) =>
      [0, ...after].map((runs, at) => ({ name, runs, value: at ? logs[at - 1] : 0, seed: runs - 1 }));
    const both = { HOLDS: path("HOLDS", holds), FAILS: path("FAILS", fails) };
    const style = { HOLDS: ["var(--holds-mark)", null], FAILS: ["var(--misses-mark)", "5,3"] };
    return {
      plot: {
        marginLeft: 52, marginBottom: 40, marginRight: 16,
        x: { domain: [0, Math.max(after.at(-1), 1)], label: "Seeds", ticks: Math.min(after.at(-1), 8), tickFormat: format.count },
        y: {
          type: "symlog", constant: threshold, label: "Logarithm of the evidence ratio", grid: true,
          domain: [Math.min(-1, d3.min([...holds, ...fails])), Math.max(threshold * 1.3, d3.max([...holds, ...fails]))],
          ticks: 5, tickFormat: (value) => String(value).replace("-", "−"),
        },
        marks: [
          Plot.ruleY([0], { stroke: SOFT, strokeOpacity: 0.5 }),
          Plot.ruleY([threshold], { stroke: INK, strokeWidth: 1.5, className: "target" }),
          Plot.text([0], {
            x: () => 0, y: () => threshold, text: () => "decides", textAnchor: "start", dx: 6, dy: -8,
            fill: INK, stroke: "var(--paper)", strokeWidth: 4,
          }),
          ...Object.entries(both).flatMap(([name, rows]) => [
            Plot.line(rows, {
              x: "runs", y: "value", stroke: style[name][0], strokeWidth: 2, strokeDasharray: style[name][1],
              curve: "step-after", className: "paths",
            }),
            rows.length <= 101 && Plot.dot(rows.slice(1), {
              x: "runs", y: "value", fill: style[name][0], r: 2.5, symbol: name === "HOLDS" ? "circle" : "diamond", className: "seeds",
            }),
          ]),
        ],
      },
      items: Object.values(both).flatMap((rows) => rows.slice(1).map((row) => ({
        x: row.runs, y: row.value, seed: row.seed,
        text: `After seed ${row.seed}: ratio for ${row.name} e^${format.logarithm(row.value)}, decides at e^${format.logarithm(threshold)}`,
      }))),
      numbers: {
        columns: ["Seeds", "Seed", "Outcome", "Log ratio for HOLDS", "Log ratio for FAILS"],
        rows: holds.map((value, place) => [
          format.count(after[place]), String(after[place] - 1), outcomes.get(after[place] - 1) ?? ABSENT,
          format.logarithm(value), format.logarithm(fails[place]),
        ]),
      },
    };
  },

  /** Each seed's best epoch above the lowest of its window: how much the best flatters. */
  best(section, { width }) {
    const dots = section.minima
      .map((correct, place) => ({
        place, seed: section.seeds[place], outcome: section.outcomes[place], correct, best: section.bests[place],
      }))
      .filter((dot) => dot.correct !== null && dot.best !== null)
      .map((dot) => ({ ...dot, x: share(section, section.images - dot.correct), y: share(section, section.images - dot.best) }));
    const shares = extent(dots.flatMap((dot) => [dot.x, dot.y]));
    const x = accuracyAxis(shares, {
      along: "x", pixels: width - 80, apart: 58, label: `Lowest of the last ${section.window} epochs`,
    });
    const y = accuracyAxis(shares, { along: "y", pixels: 250, label: "Best epoch", grid: true });
    const [worst, top] = x.scale.domain;
    return {
      plot: {
        marginLeft: 62, marginBottom: 40, x: x.scale, y: y.scale,
        marks: [
          ...y.marks,
          ...x.marks,
          Plot.rect([0], {
            x1: () => worst, x2: () => 1 - DATA.target, y1: () => 1 - DATA.target, y2: () => top, fill: "var(--shade)", className: "window",
          }),
          Plot.line([[worst, worst], [top, top]], { stroke: SOFT, strokeDasharray: "2,3" }),
          Plot.ruleX([1 - DATA.target], { stroke: INK, strokeWidth: 1.5, className: "target" }),
          Plot.ruleY([1 - DATA.target], { stroke: INK, strokeWidth: 1.5, className: "target" }),
          ...Object.entries(OUTCOMES).map(([outcome, { colour, symbol }]) =>
            Plot.dot(dots.filter((dot) => dot.outcome === outcome), {
              x: "x", y: "y", r: 4, stroke: colour, strokeWidth: 1.75, symbol,
              fill: outcome === "holds" ? colour : "none", fillOpacity: 0.6, className: "seeds",
            }),
          ),
        ],
      },
      items: dots.map((dot) => ({
        x: dot.x, y: dot.y, seed: dot.seed,
        text: seedText(section, dot.place,
          `best ${accuracyOf(section, section.images - dot.best)} in epoch ${section.best_epochs[dot.place]}, lowest of the window ${accuracyOf(section, section.images - dot.correct)}`),
      })),
      numbers: {
        columns: ["Seed", "Outcome", "Lowest of the window", "Best epoch", "In epoch"],
        rows: dots.map((dot) => [
          String(dot.seed), OUTCOMES[dot.outcome].word, accuracyOf(section, section.images - dot.correct),
          accuracyOf(section, section.images - dot.best), String(section.best_epochs[dot.place]),
        ]),
      },
    };
  },

  /** The answer, and the share of seeds that hold, when one number of the question is changed. */
  sensitivity: (section) => variations([{ name: section.name, sensitivity: section.sensitivity }], { named: false }),

  /** The same for all iterations. */
  variations: () => variations(DATA.sections.filter((section) => section.main), { named: true }),

  /** The network from left to right: height is the side of the feature map, width its channels. */
  network(section) {
    const widest = d3.max(section.blocks, (block) => block.channels) || 1;
    const tallest = d3.max(section.blocks, (block) => block.side) || 1;
    const slot = 76;
    const boxes = section.blocks.map((block, at) => ({
      ...block, middle: at * slot + slot / 2,
      half: 4 + 26 * Math.sqrt(block.channels / widest) / 2,
      tall: Math.max(3, 48 * Math.sqrt(block.side / tallest)),
    }));
    const gaps = d3.pairs(boxes);
    return {
      plot: {
        width: Math.max(280, boxes.length * slot + 8), margin: 4,
        x: { type: "identity", axis: null }, y: { type: "identity", axis: null },
        marks: [
          Plot.link(gaps, {
            x1: ([a]) => a.middle + a.half, x2: ([, b]) => b.middle - b.half, y1: 66, y2: 66, stroke: SOFT, className: "links",
          }),
          Plot.rect(boxes, {
            x1: (b) => b.middle - b.half, x2: (b) => b.middle + b.half, y1: (b) => 66 - b.tall, y2: (b) => 66 + b.tall,
            fill: (b) => (b.parameters ? "var(--accent)" : "var(--rule)"), fillOpacity: (b) => (b.parameters ? 0.35 : 1),
            stroke: (b) => (b.parameters ? "var(--accent)" : SOFT), className: "layers",
          }),
          Plot.text(boxes, { x: "middle", y: 130, text: "kind", fill: INK, fontSize: 11, fontWeight: 600 }),
          Plot.text(boxes, { x: "middle", y: 146, text: "shape", fill: SOFT, fontSize: 11 }),
          Plot.text(boxes, { x: "middle", y: 162, text: (b) => (b.parameters ? `${format.count(b.parameters)} par.` : ""), fill: SOFT, fontSize: 11 }),
          Plot.text(boxes, { x: "middle", y: 178, text: (b) => (b.field ? `sees ${b.field}×${b.field}` : ""), fill: SOFT, fontSize: 11 }),
        ],
      },
      items: boxes.map((box) => ({ px: box.middle, py: 66, text: box.text })),
    };
  },

  /** Which class is taken for which, over all seeds. */
  confusion(section) {
    const labels = confusedLabels(section);
    const noun = DATA.noun === "digit" ? "Digit" : "Class";
    const short = (label) => (className(label).length > 14 ? `${className(label).slice(0, 13)}…` : className(label));
    const room = confusionRoom(section);
    const most = d3.max(section.confusions, (each) => each.count);
    return {
      plot: {
        marginLeft: 44 + room, marginBottom: 40 + room, marginTop: 12,
        x: { type: "band", domain: labels, label: "Taken for", tickFormat: short, tickRotate: room ? -60 : 0 },
        y: { type: "band", domain: labels, label: noun, tickFormat: short },
        marks: [
          Plot.cell(section.confusions, {
            x: "predicted", y: "label", fill: "var(--misses-mark)", fillOpacity: (each) => 0.08 + 0.5 * (each.count / most), inset: 0.5, className: "cells",
          }),
          Plot.text(section.confusions, { x: "predicted", y: "label", text: (each) => format.count(each.count), fill: INK, fontSize: 11 }),
        ],
      },
      items: section.confusions.map((each) => ({
        x: each.predicted, y: each.label,
        text: `${className(each.label)} taken for ${className(each.predicted)}: ${format.count(each.count)} times over all seeds`,
      })),
      numbers: {
        columns: [noun, "Taken for", "Times, all seeds"],
        rows: section.confusions.map((each) => [className(each.label), className(each.predicted), format.count(each.count)]),
      },
    };
  },

  /** Accuracy against parameters, with the front of the measured and what others claimed. */
  parameters: (_, { width, keys }) => frontier("parameters", "Parameters", width, keys),

  /** Accuracy against multiply-accumulates. */
  macs: (_, { width, keys }) => frontier("macs", "MACs of one image", width, keys),

  /** Differences from each iteration to the next, with intervals. */
  steps() {
    const steps = DATA.steps;
    const rows = d3.range(steps.length);
    return {
      plot: {
        marginLeft: 16, marginRight: 16, marginBottom: 40,
        x: { label: "Difference of the window's mean accuracy, in points", grid: true, tickFormat: (v) => `${v > 0 ? "+" : ""}${Number(v.toFixed(3))}`.replace("-", "−"), ticks: 6 },
        y: { domain: d3.range(-0.5, steps.length), type: "linear", axis: null, reverse: true },
        marks: [
          Plot.ruleX([0], { stroke: INK }),
          Plot.link(steps, { x1: "lower", x2: "upper", y1: rows, y2: rows, stroke: "var(--accent)", strokeWidth: 2.5, className: "intervals" }),
          Plot.dot(steps, { x: "mean", y: rows, fill: "var(--accent)", r: 5, className: "intervals" }),
          Plot.text(steps, {
            frameAnchor: "left", y: rows, text: "name", dx: 4, dy: -14, fill: INK, stroke: "var(--paper)", strokeWidth: 4, fontSize: 12,
          }),
        ],
      },
      items: steps.map((step, at) => ({ x: step.mean, y: at, text: `${step.name}: ${step.text}` })),
    };
  },
};

/** The labels of a section's confusions, in order. */
const confusedLabels = (section) => d3.sort(new Set(section.confusions.flatMap((each) => [each.label, each.predicted])));

const className = (label) => DATA.classes[label] ?? String(label);

/** Pixels that the names of the classes need on both sides: none where they are digits. */
function confusionRoom(section) {
  const longest = d3.max(confusedLabels(section), (label) => className(label).length);
  return longest > 3 ? 7 * Math.min(longest, 14) : 0;
}

const VARIATION_ROW = 44;

/** Where the second line of columns begins, below the first with a row a section. */
const secondLine = (sections) => 66 + sections * VARIATION_ROW;

const variationsHeight = (sections) => secondLine(sections) + 46 + sections * VARIATION_ROW;

const GROUPS = { window: "Last epochs", reliability: "Of seeds", target: "Target" };

/** Cells of the answers by what was changed, a row a section: windows above, the others below. */
function variations(sections, { named }) {
  const cells = sections.flatMap(({ name, sensitivity }, row) => sensitivity.map((each) => ({ ...each, name, row })));
  const [slot, left] = [54, named ? 104 : 4];
  const blocks = layOut(cells, left, slot, secondLine(sections.length));
  const heads = blocks.flatMap((block) => block.columns);
  const at = new Map(heads.map((head) => [`${head.group} ${head.label}`, head]));
  const x = (cell) => at.get(`${cell.group} ${cell.label}`).x;
  const y = (cell) => at.get(`${cell.group} ${cell.label}`).y + 32 + cell.row * VARIATION_ROW;
  const names = blocks.filter((block) => block.x === left).flatMap((block) =>
    sections.map((section, row) => ({ name: section.name, y: block.y + 50 + row * VARIATION_ROW })));
  return {
    plot: {
      width: d3.max(heads, (head) => head.x) + slot / 2 + 4, margin: 0, x: { type: "identity", axis: null }, y: { type: "identity", axis: null },
      marks: [
        Plot.text(blocks, { x: (block) => block.x + 4, y: (block) => block.y, text: (block) => GROUPS[block.group], textAnchor: "start", fill: SOFT }),
        Plot.text(heads, { x: "x", y: (head) => head.y + 18, text: "label", fill: INK, fontWeight: (head) => (head.asked ? 700 : 400) }),
        named && Plot.text(names, { x: 4, y: "y", text: ({ name }) => (name.length > 15 ? `${name.slice(0, 14)}…` : name), textAnchor: "start", fill: INK }),
        Plot.rect(cells, {
          x1: (cell) => x(cell) - slot / 2 + 1, x2: (cell) => x(cell) + slot / 2 - 1, y1: (cell) => y(cell) - 1, y2: (cell) => y(cell) + 37,
          rx: 4, fill: (cell) => `var(--${cell.answer.toLowerCase()}-ground)`, className: "cells",
          stroke: (cell) => (cell.asked ? INK : "none"), strokeWidth: 1.5,
        }),
        Plot.text(cells, {
          x, y: (cell) => y(cell) + 11, text: (cell) => ANSWERS[cell.answer], fontSize: 14, fontWeight: 700,
          fill: (cell) => `var(--${cell.answer.toLowerCase()})`,
        }),
        Plot.text(cells, { x, y: (cell) => y(cell) + 27, text: "of", fill: INK, fontSize: 10 }),
      ],
    },
    items: cells.map((cell) => ({ px: x(cell), py: y(cell) + 18, text: `${cell.name}, ${cell.text}` })),
    numbers: {
      columns: ["Iteration", "Changed", "Seeds that hold", "Answer"],
      rows: cells.map((cell) => [cell.name, `${GROUPS[cell.group]}: ${cell.label}`, cell.of, `${ANSWERS[cell.answer]} ${cell.answer}`]),
    },
  };
}

/** Where the columns of each group stand: the windows in the first line, the rest in the second. */
function layOut(cells, left, slot, second) {
  const first = 10;
  const next = { [first]: left, [second]: left };
  return Object.keys(GROUPS).map((group) => {
    const y = group === "window" ? first : second;
    const x = next[y];
    const labels = [...new Set(cells.filter((cell) => cell.group === group).map((cell) => cell.label))];
    next[y] += (labels.length + 0.5) * slot;
    const columns = labels.map((label, at) => ({
      group, label, y, x: x + at * slot + slot / 2,
      asked: cells.find((cell) => cell.group === group && cell.label === label).asked,
    }));
    return { group, x, y, columns };
  });
}

const frontierHeight = (width) => Math.min(420, Math.max(300, width * 0.42));

/** Measured means with intervals and worst seeds, their front, and single runs that were claimed. */
function frontier(cost, label, width, keys) {
  const measured = DATA.sections.filter((section) => section.main && section.mean);
  const points = measured.map((section) => ({
    name: section.name, section, cost: section[cost], share: 1 - section.mean.value,
    lower: 1 - (section.mean.lower ?? section.mean.value), upper: 1 - (section.mean.upper ?? section.mean.value),
    worst: section.worst === null ? null : share(section, section.images - section.worst),
  }));
  const claims = keys.has("claims")
    ? DATA.claims.filter((claim) => claim[cost]).map((claim) => ({ ...claim, cost: claim[cost], share: 1 - claim.accuracy }))
    : [];
  const front = DATA.fronts[cost].map((at) => points.find((point) => point.section.anchor === at)).filter(Boolean);
  const y = accuracyAxis(extent([...points, ...claims].flatMap((point) => [point.share, point.worst ?? point.share])), {
    along: "y", pixels: frontierHeight(width) - 60, label: "Accuracy", grid: true,
  });
  const budget = cost === "parameters" ? [DATA.parameters] : [];
  const domain = costDomain([...points, ...claims].map((point) => point.cost).concat(budget));
  const late = (point) => Math.log(point.cost / domain[0]) > 0.75 * Math.log(domain[1] / domain[0]);
  const names = (which, dx, textAnchor) => Plot.text(points.filter(which), {
    x: "cost", y: "share", text: "name", dx, textAnchor, fill: INK, stroke: "var(--paper)", strokeWidth: 4,
  });
  return {
    plot: {
      marginLeft: 62, marginRight: 34, marginBottom: 42,
      x: { type: "log", domain, axis: null }, y: y.scale,
      marks: [
        ...y.marks,
        ...drawAxis("x", logTicks(COSTS, domain, width - 90, (cost) => 7 * String(cost).length + 12), format.count, label),
        Plot.ruleX(budget, { stroke: INK, strokeDasharray: "4,3", className: "target" }),
        Plot.ruleY([1 - DATA.target], { stroke: INK, strokeWidth: 1.5, className: "target" }),
        keys.has("front") && Plot.line(front, { x: "cost", y: "share", stroke: "var(--accent)", strokeOpacity: 0.7, curve: "step-after", className: "front" }),
        Plot.dot(claims, { x: "cost", y: "share", stroke: SOFT, symbol: "diamond", r: 5, className: "claims" }),
        Plot.link(points, { x1: "cost", x2: "cost", y1: "lower", y2: "upper", stroke: "var(--accent)", strokeWidth: 2.5, className: "means" }),
        Plot.dot(points.filter((p) => p.worst !== null), { x: "cost", y: "worst", stroke: "var(--misses-mark)", symbol: "times", r: 4, className: "worst" }),
        Plot.dot(points, { x: "cost", y: "share", fill: "var(--accent)", r: 5, className: "means" }),
        names((point) => !late(point), 9, "start"),
        names(late, -9, "end"),
      ],
    },
    items: [
      ...points.map((p) => ({ x: p.cost, y: p.share, text: `${p.name}: ${format.count(p.cost)} ${label.toLowerCase()}, ${p.section.mean.text}` })),
      ...points.filter((p) => p.worst !== null).map((p) => ({
        x: p.cost, y: p.worst, text: `${p.name}, worst seed: ${accuracyOf(p.section, p.section.images - p.section.worst)}`,
      })),
      ...claims.map((c) => ({ x: c.cost, y: c.share, text: `${c.name}: ${c.text}` })),
    ],
    numbers: {
      columns: ["Network", label, "Accuracy", "Rests on"],
      rows: [
        ...points.map((p) => [p.name, format.count(p.cost), p.section.mean.text, `${format.count(p.section.runs ?? p.section.seeds.length)} seeds`]),
        ...claims.map((c) => [c.name, format.count(c.cost), c.text, "one run, as claimed"]),
      ],
    },
  };
}

function costDomain(costs) {
  const [low, high] = d3.extent(costs);
  return [low / 1.3, high * 1.6];
}
