"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const chart = $("chart");
  const detail = $("detail");
  const byNumber = new Map(data.vertices.map((vertex) => [vertex.n, vertex]));
  const view = { zoom: 1, find: "", hits: false, only: false, chosen: -1 };
  const FEW = 12; // no more groups than this are opened from the start
  const LANES = 8; // of a closed group
  const INTERNAL = { name: "engine", outcome: "", steps: [] };
  // The first target that wants a step has it; what none wants is the engine's own work.
  const groups = data.targets.map(([name, outcome]) => ({ name, outcome, steps: [], open: data.targets.length <= FEW }));
  groups.push(INTERNAL);
  for (const vertex of data.vertices) {
    (groups[vertex.owners[0]] ?? INTERNAL).steps.push(vertex);
  }
  for (const group of groups) group.steps.sort((a, b) => a.at[0][0] - b.at[0][0] || a.n - b.n);

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function seconds(value) {
    if (value < 99.95) return `${value.toFixed(value < 1 ? 2 : 1)}s`;
    const minutes = Math.floor(value / 60);
    return `${minutes}m${String(Math.round(value - minutes * 60)).padStart(2, "0")}s`;
  }

  function bytes(count) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
    return `${unit ? count.toFixed(1) : count}${units[unit]}`;
  }

  const owners = (vertex) => vertex.owners.map((owner) => data.targets[owner][0]).join(", ") || "the engine's own work";
  const kind = (vertex) => (vertex.owners.length || vertex.state === "failed" ? vertex.state : "internal");
  const percent = (time) => `${Math.max(0, Math.min(100, (100 * time) / data.seconds)).toFixed(3)}%`;

  function wanted(vertex, group) {
    if (view.only && !vertex.critical) return false;
    if (!view.hits && vertex.state === "hit" && !view.find) return false;
    return !view.find || vertex.name.toLowerCase().includes(view.find) || group.name.toLowerCase().includes(view.find);
  }

  function bar(vertex, [start, end]) {
    const made = element("div", `bar ${kind(vertex)}${vertex.critical ? " critical" : ""}`, vertex.took >= 0.05 ? seconds(vertex.took) : "");
    made.style.left = percent(start);
    made.style.width = `calc(${percent(end - start)} - 1px)`;
    made.title = `${vertex.name}\n${vertex.state}, ${seconds(vertex.took)}, from ${seconds(start)}`;
    made.dataset.vertex = vertex.n;
    return made;
  }

  function row(className, label, title) {
    const made = element("div", `row ${className}`);
    const name = element("div", "label", label);
    name.title = title ?? label;
    made.append(name, element("div", "track"));
    return made;
  }

  function stepRow(vertex) {
    const shared = vertex.owners.length > 1 ? ` (shared by ${vertex.owners.length})` : "";
    const made = row("step", vertex.name + shared);
    made.dataset.vertex = vertex.n;
    if (vertex.n === view.chosen) made.classList.add("chosen");
    made.lastChild.append(...vertex.at.map((interval) => bar(vertex, interval)));
    return made;
  }

  // A closed group shows what ran at the same time in lanes below each other.
  function lanes(group, track, steps) {
    const free = [];
    const bars = [];
    for (const vertex of steps) {
      for (const interval of vertex.at) {
        let lane = free.findIndex((end) => end <= interval[0]);
        if (lane < 0) lane = free.length < LANES ? free.push(0) - 1 : LANES - 1;
        free[lane] = interval[1];
        bars.push([lane, bar(vertex, interval)]);
      }
    }
    const height = Math.max(22, free.length * 7 + 4);
    track.parentElement.style.height = `${height}px`;
    for (const [lane, made] of bars) {
      made.style.top = free.length > 1 ? `${2 + lane * 7}px` : "5px";
      made.style.height = free.length > 1 ? "6px" : "12px";
      track.append(made);
    }
  }

  function groupRows(group) {
    const steps = group.steps.filter((vertex) => wanted(vertex, group));
    if (!steps.length && (view.find || view.only || group === INTERNAL)) return [];
    const ran = group.steps.filter((vertex) => vertex.state === "ran").length;
    const open = group.open || view.find !== "";
    const head = row("target", `${open ? "▾" : "▸"} ${group.name}`, `${group.name} ${group.outcome}`);
    head.dataset.group = groups.indexOf(group);
    head.firstChild.append(element("span", "faint", `  ${group.outcome}${ran ? `, ${ran} ran` : ""}`));
    if (!open) lanes(group, head.lastChild, steps);
    return open ? [head, ...steps.map(stepRow)] : [head];
  }

  function axis() {
    const made = row("axis", `0 – ${seconds(data.seconds)}`);
    const width = Math.max(200, (chart.clientWidth - made.firstChild.clientWidth) * view.zoom);
    const rough = (data.seconds * 90) / width;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    for (let time = 0; time < data.seconds; time += step) {
      const tick = element("div", "tick", seconds(time));
      tick.style.left = percent(time);
      made.lastChild.append(tick);
    }
    return made;
  }

  // How many steps were at work, over time.
  function load() {
    const changes = data.vertices.flatMap((v) => (v.state === "hit" ? [] : v.at.flatMap(([start, end]) => [[start, 1], [end, -1]])));
    changes.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
    let count = 0;
    let most = 1;
    const points = [[0, 0]];
    for (const [time, by] of changes) {
      points.push([time, count]);
      count += by;
      most = Math.max(most, count);
      points.push([time, count]);
    }
    points.push([data.seconds, 0]);
    const made = row("load", `at work: up to ${most}`);
    const path = points.map(([time, n]) => `${((1000 * time) / data.seconds).toFixed(2)},${(100 - (95 * n) / most).toFixed(2)}`);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 1000 100");
    svg.setAttribute("preserveAspectRatio", "none");
    const area = document.createElementNS("http://www.w3.org/2000/svg", "path");
    area.setAttribute("d", `M0,100 L${path.join(" L")} L1000,100 Z`);
    svg.append(area);
    made.lastChild.append(svg);
    return made;
  }

  function draw() {
    const sheet = element("div", "sheet");
    sheet.style.setProperty("--zoom", view.zoom);
    sheet.append(axis(), load(), ...groups.flatMap(groupRows));
    const { scrollLeft, scrollTop } = chart;
    chart.replaceChildren(sheet);
    chart.scrollLeft = scrollLeft;
    chart.scrollTop = scrollTop;
  }

  function zoom(factor, at = 0.5) {
    const label = chart.querySelector(".label").clientWidth;
    const room = chart.clientWidth - label;
    const time = (chart.scrollLeft + room * at) / (room * view.zoom);
    view.zoom = Math.max(1, Math.min(400, view.zoom * factor));
    draw();
    chart.scrollLeft = time * room * view.zoom - room * at;
  }

  function list(title, items) {
    const made = document.createDocumentFragment();
    made.append(element("h3", "", title));
    const ul = element("ul");
    ul.append(...items.map((item) => { const li = element("li"); li.append(item); return li; }));
    made.append(ul);
    return made;
  }

  function link(number) {
    const vertex = byNumber.get(number);
    const made = element("button", "link", vertex ? vertex.name : `vertex ${number}`);
    made.dataset.vertex = number;
    return made;
  }

  function show(number) {
    const vertex = byNumber.get(number);
    if (!vertex) return;
    view.chosen = number;
    const shut = element("button", "shut", "×");
    shut.setAttribute("aria-label", "Close");
    shut.onclick = () => { detail.hidden = true; view.chosen = -1; draw(); };
    const facts = element("p", "", `${vertex.state}, ${seconds(vertex.took)}, from ${seconds(vertex.at[0][0])}`);
    if (vertex.waited >= 0.05) facts.append(`; waited ${seconds(vertex.waited)} before`);
    detail.replaceChildren(shut, element("h3", "", vertex.name), facts);
    detail.append(element("p", "faint", owners(vertex)));
    if (vertex.error) detail.append(element("pre", "error", vertex.error));
    if (vertex.why) detail.append(list("Why", vertex.changes ?? [vertex.why]));
    if (vertex.warnings) detail.append(list("Warnings", vertex.warnings));
    if (vertex.moves) detail.append(list("Moved", vertex.moves.map(([part, done, total, took]) => `${part} ${bytes(done)}${total && total !== done ? ` of ${bytes(total)}` : ""} in ${seconds(took)}`)));
    const inputs = vertex.inputs.filter((input) => byNumber.has(input));
    if (inputs.length) detail.append(list("Needs", inputs.map(link)));
    const users = data.vertices.filter((other) => other.inputs.includes(number));
    if (users.length) detail.append(list("Needed by", users.slice(0, 20).map((other) => link(other.n))));
    if (data.logs[number]) detail.append(element("h3", "", "Log"), element("pre", "", data.logs[number].join("\n")));
    detail.append(element("p", "faint", vertex.digest));
    detail.hidden = false;
    draw();
  }

  // A step that was chosen elsewhere on the page: its group is opened and its row brought into sight.
  function reveal(number) {
    const group = groups.find((each) => each.steps.some((vertex) => vertex.n === number));
    if (!group) return;
    group.open = true;
    if (byNumber.get(number).state === "hit") view.hits = $("hits").checked = true;
    $("timeline").scrollIntoView();
    show(number);
    const found = chart.querySelector(`.row[data-vertex="${number}"]`);
    if (found) chart.scrollTop = found.offsetTop - chart.clientHeight / 2;
  }

  function logList() {
    for (const vertex of data.vertices.filter((each) => data.logs[each.n])) {
      const made = element("details");
      const lines = data.logs[vertex.n].length;
      made.append(element("summary", "", `${owners(vertex)}: ${vertex.name} (${lines.toLocaleString("en")} line${lines === 1 ? "" : "s"})`));
      made.ontoggle = () => { if (made.open && made.children.length === 1) made.append(element("pre", "", data.logs[vertex.n].join("\n"))); };
      $("log-list").append(made);
    }
    if (!$("log-list").children.length) $("log-list").textContent = "No step wrote anything.";
  }

  function sort(head) {
    const table = head.closest("table");
    const at = [...head.parentElement.children].indexOf(head);
    const down = head.dataset.down !== "yes";
    head.dataset.down = down ? "yes" : "no";
    const value = (line) => line.children[at].dataset.value ?? line.children[at].textContent.trim();
    const compare = (a, b) => value(a).localeCompare(value(b), "en", { numeric: true });
    const number = (a, b) => Number(value(a)) - Number(value(b));
    const order = head.classList.contains("number") ? number : compare;
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
  }

  document.addEventListener("click", (event) => {
    const head = event.target.closest(".sortable th");
    if (head) return sort(head);
    const chosen = event.target.closest("[data-vertex]");
    if (chosen) {
      const number = Number(chosen.dataset.vertex);
      return chosen.closest(".scroller") ? show(number) : reveal(number);
    }
    const target = event.target.closest("[data-target]");
    if (target) {
      $("find").value = target.dataset.target;
      view.find = target.dataset.target.toLowerCase();
      $("timeline").scrollIntoView();
      return draw();
    }
    const group = event.target.closest("[data-group]");
    if (group) {
      const found = groups[Number(group.dataset.group)];
      found.open = !found.open;
      draw();
    }
  });
  const setOpen = (open) => { for (const group of groups) group.open = open; draw(); };
  $("find").oninput = (event) => { view.find = event.target.value.trim().toLowerCase(); draw(); };
  $("hits").onchange = (event) => { view.hits = event.target.checked; draw(); };
  $("only").onchange = (event) => { view.only = event.target.checked; draw(); };
  $("open").onclick = () => setOpen(true);
  $("close").onclick = () => setOpen(false);
  $("in").onclick = () => zoom(1.6);
  $("out").onclick = () => zoom(1 / 1.6);
  $("fit").onclick = () => zoom(0);
  chart.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const label = chart.querySelector(".label").clientWidth;
    const at = (event.clientX - chart.getBoundingClientRect().left - label) / (chart.clientWidth - label);
    zoom(event.deltaY < 0 ? 1.25 : 0.8, Math.max(0, Math.min(1, at)));
  }, { passive: false });
  window.addEventListener("resize", draw);
  draw();
  logList();
})();
