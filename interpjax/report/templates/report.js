"use strict";
// Pictures are put together when their card comes near the window: each image is in the page once, outlines are drawn on it.
const read = id => { const found = document.getElementById(id); return found ? JSON.parse(found.textContent) : null; };
const SVG = "http://www.w3.org/2000/svg";
const views = read("data-views");
const FEW_PIXELS = 100;  // images with a smaller side are shown pixel by pixel
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
  pictures ??= read("data-pictures");
  const box = views.box, frame = `M0 0H${box}V${box}H0Z`;
  const image = element("img", { src: `data:image/webp;base64,${pictures[shown.image]}`, alt: "", decoding: "async" });
  image.addEventListener("load", () => image.classList.toggle("pixels", image.naturalWidth < FEW_PIXELS));
  const layer = drawn("svg", { viewBox: `0 0 ${box} ${box}`, "aria-hidden": "true" });
  if (!shown.both) layer.append(drawn("path", { d: frame + (shown.kind === "label" ? shown.label : shown.mask), class: "outside" }));
  if (shown.both || shown.kind === "mask") layer.append(drawn("path", { d: shown.mask, class: "outline mask" }));
  if (shown.both || shown.kind === "label") layer.append(drawn("path", { d: shown.label, class: "outline label" }));
  const whole = element("span", { class: "picture" }, image, layer);
  if (shown.kind === "label" && !shown.label) whole.append(element("span", { class: "absent" }, shown.annotated ? "none" : "not annotated"));
  return whole;
}
function shownOf(layer, place, index, kind, concept, category) {
  const own = views.layers[layer], mask = own.masks[place][index], label = own.labels[place][index];
  const image = own.images[place][index], annotated = own.annotated[place][index];
  const active = `activation up to ${own.values[place][index].toPrecision(3)}${mask ? "" : ", below T"}`;
  const marked = label ? `${concept} is marked` : annotated ? `annotated, but no ${concept}` : `not annotated for ${category}`;
  const text = `${views.names[image]}: ${kind === "mask" ? active : kind === "label" ? marked : `${active}; ${marked}`}`;
  return { image, kind, mask, label, annotated, text, both: kind === "both", all: `${active}${concept ? `; ${marked}` : ""}`,
    name: views.names[image], unit: `${layer} unit ${place + 1}` };
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
  unit(holder, layer, [place], concept, category) {
    const own = views.layers[layer], shown = (from, to, kind) => own.images[place].slice(from, to).flatMap((image, at) =>
      image < 0 ? [] : [tile(shownOf(layer, place, from + at, kind, concept, category))]);
    const weaker = own.top + views.lower.length;
    holder.append(row("most active", shown(0, own.top, "mask")));
    if (concept) holder.append(row(`${concept}, as marked in these`, shown(0, own.top, "label")));
    const overlap = concept ? shown(weaker, own.images[place].length, "both") : [];
    if (overlap.length) holder.append(row(`most in common with ${concept}`, overlap));
    holder.append(row(`weaker: more active than on ${views.lower.join(", ")} % of images`, shown(own.top, weaker, "mask")),
      histogram(layer, place));
  },
  group(holder, layer, places) {
    for (const place of places) {
      const link = element("a", { class: "filter", href: `#${views.addresses[layer]}-unit-${place + 1}` });
      if (views.layers[layer].top) link.append(picture(shownOf(layer, place, 0, "mask", "", "")));
      link.append(element("span", {}, `unit ${place + 1}`));
      holder.append(link);
    }
  },
  concept(holder, layer, [place], concept, category) {
    const first = kind => [...Array(views.layers[layer].top).keys()].map(index =>
      tile(shownOf(layer, place, index, kind, concept, category)));
    holder.append(row(`unit ${place + 1}`, first("mask")), row(`${concept}, as marked in these`, first("label")));
  },
};
function fill(card) {
  const holder = card.querySelector("[data-fill]:empty");
  if (!holder || !views) return;
  const { fill: kind, layer, places, concept, category } = holder.dataset;
  holder.style.setProperty("--columns", Math.min(6, Math.max(3, views.layers[layer].top)));
  fillers[kind](holder, layer, places.split(",").map(Number), concept, category);
}

// Which units are shown, and in which order.
const tools = document.querySelector("form.tools"), cards = [...document.querySelectorAll("article.unit")];
const order = new Map([...new Set(cards.map(card => card.dataset.layer))].sort().map((name, place) => [name, place]));
[...tools.elements.layer.options].forEach((option, place) => { if (option.value) order.set(option.value, place); });
const by = {
  iou: (a, b) => b.dataset.iou - a.dataset.iou,
  number: (a, b) => order.get(a.dataset.layer) - order.get(b.dataset.layer) || a.dataset.number - b.dataset.number,
  group: (a, b) => order.get(a.dataset.layer) - order.get(b.dataset.layer) || (Number(a.dataset.group) || Infinity) - (Number(b.dataset.group) || Infinity) || by.iou(a, b),
  concept: (a, b) => (a.dataset.concept || "\uffff").localeCompare(b.dataset.concept || "\uffff") || by.iou(a, b),
};
function matches(card, wanted) {
  const own = card.dataset, text = `${own.layer} unit ${own.number} group ${own.group} ${own.concept}`.toLowerCase();
  const said = wanted.text.trim().toLowerCase(), exact = /^(?:(.*?)\s*\b(unit|group)\s+)?(\d+)$/.exec(said);
  const named = exact ? own[exact[2] === "group" ? "group" : "number"] === exact[3]
    && (!exact[1] || own.layer.toLowerCase() === exact[1]) : said.split(/\s+/).every(word => text.includes(word));
  return named
    && (!wanted.layer || own.layer === wanted.layer) && (!wanted.category || own.category === wanted.category)
    && (!wanted.group || own.group === wanted.group) && own.iou >= wanted.iou
    && (!wanted.state || own.state.split(" ").includes(wanted.state));
}
function choose() {
  const value = name => tools.elements[name] ? tools.elements[name].value : "";
  const wanted = { text: value("text"), layer: value("layer"), category: value("category"), group: value("group"),
    iou: Number(value("iou")), state: value("state") };
  let shown = 0;
  for (const card of cards) { card.hidden = !matches(card, wanted); shown += !card.hidden; }
  document.getElementById("unit-cards").append(...cards.sort(by[value("sort")]));
  tools.querySelector("output").textContent = `${shown} of ${cards.length} units`;
  document.getElementById("none").hidden = shown > 0;
}
tools.hidden = false;
tools.addEventListener("input", choose);
tools.addEventListener("submit", event => event.preventDefault());
tools.addEventListener("reset", () => setTimeout(choose));

// An address of a unit that is filtered out shows it all the same.
function visit() {
  const raw = location.hash.slice(1), lost = document.getElementById("lost");
  let name = raw;
  try { name = decodeURIComponent(raw); } catch { /* a concept may have a % in its name, which then stands for itself */ }
  const target = document.getElementById(raw) ?? document.getElementById(name);
  lost.hidden = !raw || target !== null;
  if (!lost.hidden) { lost.textContent = `There is no ${name} on this page.`; lost.scrollIntoView(); }
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
  large.querySelector(".stage").replaceChildren(picture({ ...shown, both: true }));
  large.querySelector(".caption").textContent = `${shown.unit}. ${shown.name}: ${shown.all}. Yellow: the mask; blue: the label.`;
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
  addEventListener("beforeprint", () => { document.getElementById("words").open = document.getElementById("about").open = true; });
  addEventListener("beforeprint", () => document.querySelectorAll("article.card:not([hidden])").forEach(fill));
}
visit();
