"use strict";
const { nodes, edges } = JSON.parse(document.querySelector("#data").textContent);
const canvas = document.querySelector("#canvas"), view = document.querySelector("#view");
const detail = document.querySelector("#detail"), find = document.querySelector("#find"), found = document.querySelector("#found");
const boxes = []; // the element of each node
for (const box of view.querySelectorAll(".node")) boxes[box.dataset.n] = box;
const lines = [...view.querySelectorAll("#edges path")];
const numbers = new Map(nodes.map((node, n) => [node.id, n]));
const needs = nodes.map(() => []), users = nodes.map(() => []);
for (const edge of edges) {
  const from = numbers.get(edge.from), to = numbers.get(edge.to);
  needs[to].push(from);
  users[from].push(to);
}
const width = +canvas.dataset.width, height = +canvas.dataset.height;
const FAR = 0.35; // below this scale, texts could not be read and only cost time

// Where the drawing is on the screen.
let scale = 1, left = 0, top_ = 0;
function place() {
  view.setAttribute("transform", `translate(${left} ${top_}) scale(${scale})`);
  canvas.classList.toggle("far", scale < FAR);
}
function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const to = Math.min(8, Math.max(0.005, scale * factor));
  left = x - (x - left) * to / scale;
  top_ = y - (y - top_) * to / scale;
  scale = to;
  place();
}
function fit() {
  scale = Math.min(1.5, canvas.clientWidth / width, canvas.clientHeight / height);
  left = (canvas.clientWidth - width * scale) / 2;
  top_ = (canvas.clientHeight - height * scale) / 2;
  place();
}
function show(n) {
  const box = boxes[n].getBBox();
  scale = Math.max(scale, 0.8);
  left = canvas.clientWidth / 2 - (box.x + box.width / 2) * scale;
  top_ = canvas.clientHeight / 2 - (box.y + box.height / 2) * scale;
  place();
}

// What stands out.
let chosen = -1, pressed = "";
function mark(some) {
  canvas.classList.toggle("chosen", some !== null);
  boxes.forEach((box, n) => box.classList.toggle("on", some !== null && some.has(n)));
  for (const line of lines) line.classList.toggle("on", some !== null && some.has(+line.dataset.from) && some.has(+line.dataset.to));
}
function reached(n, next) {
  const seen = new Set([n]), stack = [n];
  while (stack.length) for (const other of next[stack.pop()]) if (!seen.has(other)) { seen.add(other); stack.push(other); }
  return seen;
}
function has(node, state) {
  return state === "critical" ? node.critical : state === "shared" ? node.sharedBy : node.state === state;
}
function search() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length && !pressed) { found.textContent = ""; mark(null); return; }
  const some = new Set();
  nodes.forEach((node, n) => {
    const text = [node.label, node.kind, ...(node.sharedBy || []), ...Object.values(node.details || {})].join("\n").toLowerCase();
    if (words.every((word) => text.includes(word)) && (!pressed || has(node, pressed))) some.add(n);
  });
  found.textContent = `${some.size} of ${nodes.length}`;
  mark(some);
  return some;
}

// One box and all it hangs together with.
function element(name, text, ...inner) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...inner);
  return made;
}
function links(title, some) {
  if (!some.length) return [];
  const items = some.map((n) => {
    const button = element("button", nodes[n].label);
    button.onclick = () => { choose(n); show(n); };
    return element("li", "", button);
  });
  return [element("h3", title), element("ul", "", ...items)];
}
const WORDS = { ran: "run", hit: "cached", idle: "not needed" };
function choose(n) {
  if (chosen >= 0) boxes[chosen].classList.remove("this");
  chosen = n;
  detail.hidden = n < 0;
  if (n < 0) { search(); return; }
  const node = nodes[n], list = element("dl");
  const rows = { kind: node.kind, state: WORDS[node.state] || node.state, time: node.seconds ? `${node.seconds} s` : "", ...node.details };
  if (node.critical) rows["critical path"] = "yes";
  if (node.sharedBy) rows["shared by"] = node.sharedBy.join(", ");
  for (const [what, text] of Object.entries(rows)) if (text) list.append(element("dt", what), element("dd", text));
  const close = element("button", "×");
  close.id = "close";
  close.onclick = () => choose(-1);
  detail.replaceChildren(close, element("h2", node.label), list, ...links("Needs", needs[n]), ...links("Needed by", users[n]));
  boxes[n].classList.add("this");
  mark(new Set([...reached(n, needs), ...reached(n, users)]));
  uncover(n);
}
// What is told of a box takes room from the drawing; the box itself stays in sight.
function uncover(n) {
  const over = boxes[n].getBoundingClientRect().right + 16 - canvas.getBoundingClientRect().right;
  if (over <= 0) return;
  left -= over;
  place();
}

// Pointer and keys.
let grip = null, shown = -1; // what is held, and the find that Enter came to last
canvas.onpointerdown = (event) => { grip = { x: event.clientX, y: event.clientY, moved: false, box: event.target.closest(".node") }; };
window.onpointermove = (event) => {
  if (!grip) return;
  const x = event.clientX - grip.x, y = event.clientY - grip.y;
  if (!grip.moved && Math.hypot(x, y) < 4) return;
  grip = { ...grip, x: event.clientX, y: event.clientY, moved: true };
  canvas.classList.add("moving");
  left += x;
  top_ += y;
  place();
};
window.onpointerup = () => {
  if (grip && !grip.moved) choose(grip.box ? +grip.box.dataset.n : -1);
  grip = null;
  canvas.classList.remove("moving");
};
canvas.onwheel = (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 400)), event.offsetX, event.offsetY);
};
canvas.ondblclick = (event) => zoom(1.8, event.offsetX, event.offsetY);
document.querySelector("#fit").onclick = fit;
document.querySelector("#in").onclick = () => zoom(1.4);
document.querySelector("#out").onclick = () => zoom(1 / 1.4);
find.oninput = search;
find.onkeydown = (event) => {
  if (event.key !== "Enter") return;
  const some = [...(search() || [])];
  if (!some.length) return;
  shown = some[(some.indexOf(shown) + 1) % some.length];
  show(shown);
};
for (const button of document.querySelectorAll("[data-state]")) button.onclick = () => {
  pressed = pressed === button.dataset.state ? "" : button.dataset.state;
  for (const other of document.querySelectorAll("[data-state]")) other.setAttribute("aria-pressed", other.dataset.state === pressed);
  search();
};
document.onkeydown = (event) => {
  if (event.key === "Escape") { find.value = ""; choose(-1); }
  if (event.key === "/" && event.target !== find) { event.preventDefault(); find.focus(); }
};
window.onresize = place;
// Paper shows all of it, as large as it goes, wherever one has looked.
window.onbeforeprint = () => {
  canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
  view.removeAttribute("transform");
  canvas.classList.remove("far");
};
window.onafterprint = () => {
  canvas.removeAttribute("viewBox");
  place();
};

// A drawing that would be too small to read begins where something went wrong, or with its first box, at the left;
// "Fit" shows all of it.
fit();
if (scale < FAR) {
  const wrong = nodes.findIndex((node) => node.state === "failed");
  const starts = boxes.map((box) => box.getBBox().x), start = Math.min(...starts);
  scale = 0.8;
  show(wrong >= 0 ? wrong : starts.indexOf(start));
  if (wrong < 0) left = 24 - start * scale;
  place();
}
