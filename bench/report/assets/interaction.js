// Drawing when a chart comes into view, pointing, stepping with the keyboard, and one seed
// highlighted in every chart of its iteration.

const REACH = 28; // pixels within which the pointer finds an item
const CROWD = 200; // seeds from which on the others are hidden beside a lit one: dimming takes a second
const figures = []; // every figure of the page, drawn or not

/** Charts are as large as the text: pixels of a screen in one of theirs. */
const zoom = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

class Figure {
  constructor(element) {
    this.element = element;
    this.name = element.dataset.chart;
    this.section = DATA.sections.find((section) => section.anchor === element.dataset.section);
    this.stage = element.querySelector(".plot");
    this.readout = element.querySelector(".readout");
    this.keys = new Set();
    this.items = [];
    this.at = -1;
    for (const box of element.querySelectorAll("input[data-key]")) {
      if (box.checked) this.keys.add(box.dataset.key);
      box.addEventListener("change", () => this.toggle(box.dataset.key, box.checked));
    }
    this.listen();
  }

  toggle(key, shown) {
    if (shown) this.keys.add(key);
    else this.keys.delete(key);
    this.draw();
  }

  /** Its height before it is drawn: what is below must not move from under a pointer. */
  keepPlace(width) {
    this.stage.style.minHeight = `${heights[this.name](this.section, width) / 16}rem`;
  }

  measure() {
    return Math.max(280, Math.floor(this.stage.clientWidth / zoom()));
  }

  draw() {
    const width = this.measure();
    const height = heights[this.name](this.section, width);
    const chart = charts[this.name](this.section, { width, keys: this.keys });
    const marks = chart.plot.marks.flat(Infinity).filter(Boolean);
    const layers = marks.filter((mark) => mark.className === "seeds");
    layers.forEach((layer, n) => {
      layer.className = `seeds layer-${n}`;
    });
    const svg = Plot.plot({ width, height, style: { background: "none", overflow: "visible" }, ...chart.plot, marks });
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", this.element.dataset.description);
    // Plot labels its groups by the kind of mark, which no role of theirs allows and nobody can hear
    for (const group of svg.querySelectorAll("[aria-label]")) group.removeAttribute("aria-label");
    svg.classList.toggle("crowded", (this.section?.seeds.length ?? 0) > CROWD);
    this.svg = svg;
    this.items = chart.items.map((item) => this.locate(item));
    this.numbers = chart.numbers;
    this.at = -1;
    this.bySeed = this.find(layers);
    this.stage.replaceChildren(svg);
    this.stage.style.minHeight = "";
    svg.style.width = `${svg.viewBox.baseVal.width * zoom()}px`;
    this.width = this.stage.clientWidth;
    this.element.dataset.drawn = String(svg.querySelectorAll("path, circle, rect, line, image").length);
    this.light(highlight.seedOf(this.section));
  }

  /** Where an item lies, in pixels of the drawing. */
  locate(item) {
    if (item.px !== undefined) return item;
    const middle = (scale, value) => scale.apply(value) + (scale.bandwidth ?? 0) / 2;
    return { ...item, px: middle(this.svg.scale("x"), item.x), py: middle(this.svg.scale("y"), item.y) };
  }

  /** The elements of each seed; d3 binds to each the place, or places, of its data in the mark. */
  find(layers) {
    const elements = new Map();
    layers.forEach((layer, n) => {
      for (const element of this.svg.querySelectorAll(`.layer-${n} > *`)) {
        const bound = d3.select(element).datum();
        const { seed } = layer.data[bound.length === undefined ? bound : bound[0]];
        element.dataset.seed = seed;
        if (!elements.has(seed)) elements.set(seed, []);
        elements.get(seed).push(element);
      }
    });
    return elements;
  }

  light(seed) {
    if (!this.svg) return;
    for (const element of this.lit ?? []) element.classList.remove("on");
    this.lit = this.bySeed.get(seed) ?? [];
    for (const element of this.lit) {
      element.classList.add("on");
      element.parentNode.append(element); // on top of its own layer
    }
    this.svg.classList.toggle("one", this.lit.length > 0);
  }

  listen() {
    this.stage.addEventListener("pointermove", (event) => this.point(event));
    this.stage.addEventListener("pointerleave", () => this.leave());
    this.stage.addEventListener("click", (event) => {
      if (this.point(event)) highlight.pin(this.section, this.items[this.at].seed);
    });
    this.stage.addEventListener("keydown", (event) => this.step(event));
    this.stage.addEventListener("blur", () => this.leave());
  }

  point(event) {
    if (!this.svg) return false;
    const box = this.svg.getBoundingClientRect();
    const factor = this.svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * factor, (event.clientY - box.top) * factor];
    let nearest = -1;
    let least = REACH ** 2;
    this.items.forEach((item, at) => {
      const distance = (item.px - x) ** 2 + (item.py - y) ** 2;
      if (distance < least) [nearest, least] = [at, distance];
    });
    if (nearest < 0) this.leave();
    else this.show(nearest);
    return nearest >= 0;
  }

  /** Arrow keys go from item to item, or, where items are seeds, from seed to seed. */
  step(event) {
    if (event.key === "Escape") {
      highlight.pin(this.section, undefined);
      return this.leave();
    }
    if (event.key === "Enter" && this.at >= 0) return highlight.pin(this.section, this.items[this.at].seed);
    const moves = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    const move = moves[event.key];
    if (move === undefined || !this.items.length) return undefined;
    event.preventDefault();
    const stops = this.stops();
    const now = stops.findIndex((at) => at === this.at || (this.at >= 0 && this.items[at].seed !== undefined && this.items[at].seed === this.items[this.at].seed));
    const next = Math.min(stops.length - 1, Math.max(0, now < 0 ? (move > 0 ? 0 : stops.length - 1) : now + move));
    this.show(stops[Number.isNaN(next) ? 0 : next]);
    return undefined;
  }

  /** One item a seed, the last of it, or every item where none belongs to a seed. */
  stops() {
    const last = new Map();
    this.items.forEach((item, at) => last.set(item.seed ?? `item ${at}`, at));
    return [...last.values()];
  }

  show(at) {
    this.at = at;
    const item = this.items[at];
    this.readout.textContent = item.text;
    this.tip(item);
    if (item.seed !== undefined) highlight.show(this.section, item.seed);
  }

  tip(item) {
    const box = this.svg.getBoundingClientRect();
    const factor = box.width / this.svg.viewBox.baseVal.width;
    tooltip.show(item.text, box.left + item.px * factor, box.top + item.py * factor);
  }

  leave() {
    this.at = -1;
    this.readout.textContent = "";
    tooltip.hide();
    highlight.show(this.section, undefined);
  }
}

/** The one seed of each iteration that is lit: what is pointed at, else what was pinned. */
const highlight = {
  shown: new Map(),
  pinned: new Map(),

  seedOf: (section) => highlight.shown.get(section) ?? highlight.pinned.get(section),

  show(section, seed) {
    if (!section || highlight.shown.get(section) === seed) return;
    highlight.shown.set(section, seed);
    highlight.light(section);
  },

  pin(section, seed) {
    if (!section) return;
    highlight.pinned.set(section, highlight.pinned.get(section) === seed ? undefined : seed);
    highlight.light(section);
  },

  light(section) {
    const seed = highlight.seedOf(section);
    for (const figure of figures) if (figure.section === section) figure.light(seed);
    for (const row of document.querySelectorAll(`[data-runs="${CSS.escape(section.anchor)}"] tbody tr`))
      row.classList.toggle("on", Number(row.cells[0]?.textContent) === seed && seed !== undefined);
  },
};

const tooltip = {
  element: document.getElementById("tip"),

  show(text, x, y) {
    const { element } = tooltip;
    element.textContent = text;
    element.hidden = false;
    const room = document.documentElement.clientWidth - element.offsetWidth - 8;
    element.style.left = `${Math.max(8, Math.min(x + 14, room))}px`;
    element.style.top = `${y + 18 + element.offsetHeight > innerHeight ? y - 14 - element.offsetHeight : y + 18}px`;
  },

  hide: () => {
    tooltip.element.hidden = true;
  },
};

function watchFigures() {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) drawOnce(target, seen);
    },
    { rootMargin: "400px" },
  );
  for (const element of document.querySelectorAll("figure[data-chart]")) {
    const figure = new Figure(element);
    figures.push(figure);
    element.figure = figure;
    seen.observe(element);
  }
  keepPlaces();
  let waiting;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const figure of figures)
        if (figure.svg && Math.abs(figure.stage.clientWidth - figure.width) > 8) figure.draw();
      keepPlaces();
    }, 150);
  });
  addEventListener("toggle", keepPlaces, true); // what was folded away had no width before
  addEventListener("scroll", tooltip.hide, { passive: true });
  addEventListener("beforeprint", () => {
    for (const { element } of figures) if (element.checkVisibility()) drawOnce(element, seen);
  });
}

/** The places of charts not drawn yet; all are measured before one is set, or each would lay out anew. */
function keepPlaces() {
  const waiting = figures.filter((figure) => !figure.svg).map((figure) => [figure, figure.measure()]);
  for (const [figure, width] of waiting) figure.keepPlace(width);
}

function drawOnce(element, seen) {
  seen.unobserve(element);
  if (!element.figure.svg) element.figure.draw();
}
