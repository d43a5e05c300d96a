"use strict";
// Pictures are put together when their card comes near the window: each image is in the page once, outlines are drawn on it.
const read = id => { const found = document.getElementById(id); return found ? JSON.parse(found.textContent) : null; };
const SVG = "http://www.w3.org/2000/svg";
const views = read("views");
if (views && views.pixels) document.body.classList.add("pixels");
let pictures = null;

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function drawn(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
function picture(shown) {  // an image with an outline; what lies outside of it is dimmed
  pictures ??= read("pictures");
  const box = views.box, frame = `M0 0H${box}V${box}H0Z`;
  const image = element("img", { src: `data:image/webp;base64,${pictures[shown.image]}`, alt: "", decoding: "async" });
  const layer = drawn("svg", { viewBox: `0 0 ${box} ${box}`, "aria-hidden": "true" },
    drawn("path", { d: frame + shown.path, class: "outside" }), drawn("path", { d: shown.path, class: `outline ${shown.kind}` }));
  return element("span", { class: "picture" }, image, layer);
}
function shownOf(layer, place, index, kind, concept) {
  const own = views.layers[layer], path = (kind === "label" ? own.labels : own.masks)[place][index];
  const image = own.images[place][index], value = own.values[place][index].toPrecision(3);
  const what = kind === "label"
    ? (path ? `label ${concept}` : `${concept} is not marked here`) : `activation up to ${value}${path ? "" : ", below T"}`;
  return { layer, place, image, kind, path, text: `${views.names[image]}: ${what}`, unit: `${layer} unit ${place + 1}` };
}
function tile(shown) {
  const button = element("button", { type: "button", class: "tile", "aria-label": `${shown.unit}, ${shown.text}; enlarge`,
    title: shown.text }, picture(shown));
  button.shown = shown;
  return button;
}
function row(text, tiles) {
  return element("div", { class: "row" }, element("span", { class: "dim" }, text), element("div", { class: "tiles" }, ...tiles));
}
function histogram(layer, place) {
  const own = views.layers[layer], counts = own.counts[place], most = Math.log1p(Math.max(...counts));
  const at = (own.thresholds[place] - own.low[place]) / (own.high[place] - own.low[place]) * 100;
  const bars = counts.map((count, bin) => {
    const height = 34 * Math.log1p(count) / most, width = 100 / counts.length;
    return drawn("rect", { x: bin * width, y: 36 - height, width: width * 0.9, height });
  });
  const name = `Histogram of the activations of unit ${place + 1}, from ${own.low[place].toPrecision(3)} to ` +
    `${own.high[place].toPrecision(3)}; T is ${own.thresholds[place].toPrecision(3)}`;
  const line = drawn("line", { x1: at, x2: at, y1: 0, y2: 36 });
  return element("div", { class: "histogram" }, drawn("svg", { viewBox: "0 0 100 36", role: "img", "aria-label": name,
    preserveAspectRatio: "none" }, ...bars, line), element("span", { class: "dim" },
    `${own.low[place].toPrecision(2)} to ${own.high[place].toPrecision(2)}, counts on a log scale`));
}
const fillers = {
  unit(holder, layer, place, concept) {
    const top = views.layers[layer].top, all = views.layers[layer].images[place].length;
    const indices = [...Array(all).keys()], first = indices.slice(0, top);
    holder.append(row("most active", first.map(index => tile(shownOf(layer, place, index, "mask", concept)))));
    if (concept) holder.append(row(concept, first.map(index => tile(shownOf(layer, place, index, "label", concept)))));
    const weaker = indices.slice(top).map(index => tile(shownOf(layer, place, index, "mask", concept)));
    holder.append(row(`weaker: above ${views.lower.join(", ")} % of images`, weaker), histogram(layer, place));
  },
  group(holder, layer, places) {
    for (const place of places) {
      const link = element("a", { class: "filter", href: `#${views.addresses[layer]}-unit-${place + 1}` },
        picture(shownOf(layer, place, 0, "mask", "")), element("span", {}, `unit ${place + 1}`));
      holder.append(link);
    }
  },
  concept(holder, layer, place, concept) {
    const first = [...Array(views.layers[layer].top).keys()];
    holder.append(row(`unit ${place + 1}`, first.map(index => tile(shownOf(layer, place, index, "mask", concept)))));
    holder.append(row(concept, first.map(index => tile(shownOf(layer, place, index, "label", concept)))));
  },
};
function fill(card) {
  const holder = card.querySelector("[data-fill]:empty");
  if (!holder || !views) return;
  const { fill: kind, layer, places, concept } = holder.dataset, numbers = places.split(",").map(Number);
  fillers[kind](holder, layer, kind === "group" ? numbers : numbers[0], concept);
}

// Which units are shown, and in which order.
const tools = document.querySelector("form.tools"), cards = [...document.querySelectorAll("article.unit")];
const order = new Map([...new Set(cards.map(card => card.dataset.layer))].sort().map((name, place) => [name, place]));
[...tools.elements.layer.options].forEach((option, place) => { if (option.value) order.set(option.value, place); });
const by = {
  iou: (a, b) => b.dataset.iou - a.dataset.iou,
  number: (a, b) => order.get(a.dataset.layer) - order.get(b.dataset.layer) || a.dataset.number - b.dataset.number,
  group: (a, b) => order.get(a.dataset.layer) - order.get(b.dataset.layer) || a.dataset.group - b.dataset.group || by.iou(a, b),
  concept: (a, b) => (a.dataset.concept || "\uffff").localeCompare(b.dataset.concept || "\uffff") || by.iou(a, b),
};
function matches(card, wanted) {
  const own = card.dataset, text = `${own.layer} unit ${own.number} ${own.concept}`.toLowerCase();
  const said = wanted.text.trim().toLowerCase();
  const number = /^(?:unit )?(\d+)$/.exec(said);
  return (!said || (number ? own.number === number[1] : text.includes(said)))
    && (!wanted.layer || own.layer === wanted.layer) && (!wanted.category || own.category === wanted.category)
    && (!wanted.group || own.group === wanted.group) && own.iou >= wanted.iou
    && (!wanted.detects || card.classList.contains("detects"));
}
function choose() {
  const value = name => tools.elements[name] ? tools.elements[name].value : "";
  const wanted = { text: value("text"), layer: value("layer"), category: value("category"), group: value("group"),
    iou: Number(value("iou")), detects: tools.elements.detects.checked };
  let shown = 0;
  for (const card of cards) { card.hidden = !matches(card, wanted); shown += !card.hidden; }
  document.getElementById("unit-cards").append(...cards.sort(by[value("sort")]));
  tools.querySelector("output").textContent = `${shown} of ${cards.length} units`;
}
tools.hidden = false;
tools.addEventListener("input", choose);
tools.addEventListener("submit", event => event.preventDefault());
tools.addEventListener("reset", () => setTimeout(choose));

// An address of a unit that is filtered out shows it all the same.
function visit() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.hidden) { tools.reset(); choose(); }
  target.closest("details")?.setAttribute("open", "");
  if (target.matches("details")) target.open = true;
  if (target.matches("article")) { fill(target); target.focus({ preventScroll: true }); target.scrollIntoView(); }
}
addEventListener("hashchange", visit);

// Enlarging.
const large = document.getElementById("large");
let series = [], at = 0;
function enlarge() {
  const shown = series[at].shown;
  large.querySelector(".stage").replaceChildren(picture(shown));
  large.querySelector(".caption").textContent = `${shown.unit}. ${shown.text}`;
}
document.addEventListener("click", event => {
  const chosen = event.target.closest("button.tile");
  if (!chosen) return;
  series = [...chosen.closest("article").querySelectorAll("button.tile")];
  at = series.indexOf(chosen);
  enlarge();
  large.showModal();
});
function turn(step) { at = (at + step + series.length) % series.length; enlarge(); }
large.addEventListener("click", event => {
  if (event.target === large || event.target.name === "close") large.close();
  if (event.target.name === "previous") turn(-1);
  if (event.target.name === "next") turn(1);
});
large.addEventListener("keydown", event => {
  if (event.key === "ArrowLeft") turn(-1);
  if (event.key === "ArrowRight") turn(1);
});

if (views) {
  const near = new IntersectionObserver(entries => {
    for (const entry of entries) if (entry.isIntersecting) { fill(entry.target); near.unobserve(entry.target); }
  }, { rootMargin: "800px" });
  for (const card of document.querySelectorAll("article.card")) near.observe(card);
  addEventListener("beforeprint", () => document.querySelectorAll("article.card:not([hidden])").forEach(fill));
}
visit();
