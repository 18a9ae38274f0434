"use strict";
// The live page. documents.py makes what it receives: the network once, then whole states. Names come from
// scenario files: they go into the page as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 8;
const MOST_ROWS = 60;
const MOST_DOTS_PER_S = 40; // beyond, a dot stands for several flows
const DOT_SPEED = 170; // pixels of the screen per second
const RING = 15, QUEUE_RING = 20;
const SMALL = 1.45; // so many units of the map to a pixel, and there is room for the names of sites only
const MARGIN_X = 66, SMALL_MARGIN_X = 46, MARGIN_Y = 42; // pixels of the screen, for names at the border
const still = matchMedia("(prefers-reduced-motion: reduce)");

const $ = (id) => document.getElementById(id);
let net = null; // the network, with what was drawn of it
let state = null;

function put(parent, tag, attributes = {}, text = null) {
  const node = parent.namespaceURI === SVG || tag === "svg"
    ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  parent.append(node);
  return node;
}
const number = (value, digits = 0) => value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const few = (value) => number(value, value && value < 10 ? 1 : 0);
const time = (ms) => ms === null ? "–" : ms < 10 ? `${number(ms, 1)} ms` : ms < 10000 ? `${number(ms)} ms` : `${number(ms / 1000, 1)} s`;
const share = (value) => `${number(100 * value)} %`;
const colour = (site) => net.colours.get(site) ?? "var(--soft)";

// -- the network ----------------------------------------------------------------------------------------------------

function drawNetwork(received) {
  net = received;
  net.place = new Map(net.nodes.map((node) => [node.name, node]));
  const serving = [...new Set(net.instances.map((item) => item.site))];
  net.colours = new Map(serving.map((site, n) => [site, `var(--s${n % COLOURS})`]));
  net.clientsOf = grouped(net.clients);
  net.scale = 1;
  document.title = `${net.scenario} · dyncast`;
  $("scenario").textContent = net.scenario;
  $("policy").textContent = `${net.policy}, seed ${net.seed}`;
  $("description").textContent = net.description;

  const map = $("map");
  map.replaceChildren();
  net.width = Math.max(...net.nodes.map((node) => node.x), 200);
  net.height = Math.max(...net.nodes.map((node) => node.y), 50);
  for (const node of net.nodes) node.flat = node.y;
  const links = put(map, "g", { class: "links" });
  net.lines = new Map();
  for (const link of net.links) {
    const carries = put(links, "line", { class: "carries" }), base = put(links, "line");
    put(base, "title", {}, `${link.a} – ${link.b}: ${link.delay_ms} ms one way`);
    net.lines.set(key(link.a, link.b), { a: net.place.get(link.a), b: net.place.get(link.b), base, carries });
  }
  net.dots = put(map, "g");
  net.groups = new Map();
  const order = ["router", "client", "agent", "dispatcher", "instance", "d_router"];
  for (const node of [...net.nodes].sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role))) drawNode(map, node);
  drawRows();
  drawFaults();
  fit();
}

function grouped(clients) {
  const found = new Map();
  for (const client of clients) found.set(client.site, [...(found.get(client.site) ?? []), client]);
  return found;
}

const key = (a, b) => a < b ? `${a}\n${b}` : `${b}\n${a}`;
const SHAPES = {
  client: "M0-6 6 5H-6Z", instance: "M-6-6H6V6H-6Z", agent: "M-4 0 0-4 4 0 0 4Z", dispatcher: "M-6 0-3-6H3L6 0 3 6H-3Z",
};

function drawNode(map, node) {
  const kind = node.role === "d_router" ? "site" : node.role === "router" ? "router" : "host";
  const group = put(map, "g", { class: kind });
  put(group, "title", {}, `${node.name} (${node.role.replace("d_router", "D-Router")})`);
  const drawn = { group, node };
  if (kind === "site") {
    put(group, "circle", { class: "ground", r: RING });
    if (net.colours.has(node.name)) {
      put(group, "circle", { class: "track", r: RING });
      drawn.busy = put(group, "circle", { class: "busy", r: RING, transform: "rotate(-90)", stroke: colour(node.name), "stroke-dasharray": "0 999" });
      drawn.queue = put(group, "circle", { class: "queue", r: QUEUE_RING, transform: "rotate(-90)", "stroke-dasharray": "0 999" });
      drawn.load = put(group, "text", { class: "load" });
    } else {
      put(group, "circle", { r: 6, fill: "var(--soft)" });
    }
  } else if (kind === "router") {
    put(group, "circle", { r: 4 });
  } else {
    put(group, "path", { d: SHAPES[node.role] });
    if (node.role === "instance") drawn.level = put(group, "rect", { class: "level", x: -5, width: 10, y: 5, height: 0 });
  }
  drawn.name = put(group, "text", { class: "name" }, node.label);
  net.groups.set(node.name, drawn);
}

function fit() { // nodes and names keep their size on the screen, whatever the map is scaled to
  if (!net) return;
  const map = $("map");
  const across = map.parentNode.clientWidth - 26;
  if (across < 100) return; // not laid out yet
  const isSmall = net.width / Math.max(100, across - 2 * MARGIN_X) > SMALL;
  let scale = net.width / Math.max(100, across - 2 * (isSmall ? SMALL_MARGIN_X : MARGIN_X));
  // A phone is high rather than wide: there, north and south are drawn farther apart.
  const stretch = isSmall ? Math.min(2.2, Math.max(1, 0.95 * net.width / net.height)) : 1;
  const height = net.height * stretch;
  scale = Math.max(scale, height / Math.max(100, 0.7 * innerHeight - 2 * MARGIN_Y));
  const side = (across * scale - net.width) / 2, above = MARGIN_Y * scale;
  map.setAttribute("viewBox", `${-side} ${-above} ${net.width + 2 * side} ${height + 2 * above}`);
  map.classList.toggle("is-small", isSmall);
  net.scale = scale;
  for (const { group, node, name } of net.groups.values()) {
    node.y = node.flat * stretch;
    const isSite = node.role === "d_router";
    const shrink = isSite ? (isSmall ? 0.85 : 1) : Math.min(1, 1.6 / scale);
    const away = isSite ? 1.35 : 1; // the rings of a site are wider than what the name was placed beside
    name.setAttribute("x", isSmall ? 0 : node.label_dx * away);
    name.setAttribute("y", isSmall ? QUEUE_RING + 10 : node.label_dy * away);
    group.setAttribute("transform", `translate(${node.x} ${node.y}) scale(${scale * shrink})`);
  }
  for (const { a, b, base, carries } of net.lines.values()) {
    for (const line of [base, carries]) {
      for (const [name, value] of [["x1", a.x], ["y1", a.y], ["x2", b.x], ["y2", b.y]]) line.setAttribute(name, value);
    }
  }
}

// -- the state ------------------------------------------------------------------------------------------------------

function show(now) {
  state = now;
  const total = now.flows.reduce((sum, [, , perS]) => sum + perS, 0);
  const failed = Object.values(now.failed).reduce((sum, count) => sum + count, 0);
  $("done").value = Math.min(1, Math.max(0, now.elapsed_s / net.duration_s));
  const second = number(Math.floor(Math.max(0, now.elapsed_s)));
  $("time").textContent = now.elapsed_s < 0 ? `begins in ${number(-now.elapsed_s)} s`
    : now.left_s ? `${second} of ${number(net.duration_s)} s, ${number(Math.ceil(now.left_s))} s left`
      : `${second} s; the last flows end`;
  $("steered").textContent = few(total);
  $("ended").textContent = few(now.ended_per_s);
  $("p50").textContent = time(now.p50_ms);
  $("p95").textContent = time(now.p95_ms);
  $("failed").textContent = now.ended ? `${number(100 * failed / now.ended, 1)} %` : "–";
  $("failed").classList.toggle("is-bad", failed > 0);
  const outcomes = Object.entries(now.failed).map(([outcome, count]) => `${number(count)} ${outcome.replaceAll("_", " ")}`);
  $("failures").textContent = `of ${number(now.ended)} failed${outcomes.length ? `: ${outcomes.join(", ")}` : ""}`;
  $("cpu").textContent = now.cpu_share === null ? "–" : share(now.cpu_share);
  $("late").textContent = "of the processors busy"
    + (now.late_p99_ms === null ? "" : `; 99 % of flows begin within ${time(now.late_p99_ms)} of their time`);
  $("doubts").hidden = !now.doubts.length;
  $("doubts").textContent = now.doubts.join("; ");
  showInstances(now);
  showSites(now);
  showFlows(now);
  showFaults(now);
  showCharts(now);
}

function showSites(now) {
  const sums = new Map();
  for (const item of net.instances) {
    const load = now.instances[item.name];
    const off = !load || now.silent.includes(item.name);
    const drawn = net.groups.get(item.host);
    drawn.group.classList.toggle("is-off", off);
    const level = off ? 0 : 10 * load.utilisation;
    drawn.level?.setAttribute("height", level);
    drawn.level?.setAttribute("y", 5 - level);
    drawn.level?.setAttribute("fill", !off && load.queue ? "var(--bad)" : colour(item.site));
    if (off) continue;
    const sum = sums.get(item.site) ?? { busy: 0, workers: 0, queue: 0 };
    sum.busy += load.utilisation * load.workers;
    sum.workers += load.workers;
    sum.queue += load.queue;
    sums.set(item.site, sum);
  }
  for (const site of net.colours.keys()) {
    const { busy, workers, queue } = sums.get(site) ?? { busy: 0, workers: 0, queue: 0 };
    const drawn = net.groups.get(site);
    arc(drawn.busy, RING, workers ? busy / workers : 0);
    arc(drawn.queue, QUEUE_RING, workers ? queue / (queue + workers) : 0);
    drawn.load.textContent = workers ? number(100 * busy / workers) : "–";
  }
}

function arc(circle, radius, part) {
  const around = 2 * Math.PI * radius;
  circle.setAttribute("stroke-dasharray", `${around * Math.min(1, part)} ${around}`);
}

function showFlows(now) {
  const perLink = new Map(), from = new Map();
  for (const [ingress, site, perS] of now.flows) {
    from.set(ingress, [...(from.get(ingress) ?? []), [site, perS]]);
    const path = net.paths[ingress]?.[site] ?? [];
    for (let hop = 1; hop < path.length; hop++) {
      const link = key(path[hop - 1], path[hop]);
      perLink.set(link, (perLink.get(link) ?? 0) + perS);
    }
  }
  for (const [link, { carries }] of net.lines) {
    const perS = perLink.get(link) ?? 0;
    carries.style.strokeWidth = perS ? `${2 + Math.min(16, 2 * Math.sqrt(perS))}px` : "0";
  }
  for (const [ingress, row] of net.shareRows) {
    const sites = (from.get(ingress) ?? []).sort((a, b) => b[1] - a[1]);
    const total = sites.reduce((sum, [, perS]) => sum + perS, 0);
    row.bar.replaceChildren(...sites.map(([site, perS]) => {
      const part = document.createElement("i");
      part.style.width = `${100 * perS / total}%`;
      part.style.background = colour(site);
      return part;
    }));
    row.says.replaceChildren(put(row.says, "span", {}, `${few(total)}/s`));
    for (const [site, perS] of sites) {
      const said = put(row.says, "span");
      put(said, "i", { class: "chip" }).style.background = colour(site);
      said.append(`${site} ${share(perS / total)}`);
    }
  }
}

// -- lists ----------------------------------------------------------------------------------------------------------

function row(parent, name) {
  const line = put(parent, "div");
  put(line, "span", { class: "name", title: name }, name);
  return { line, bar: put(line, "div", { class: "bar" }), says: put(line, "span", { class: "says" }) };
}

function drawRows() {
  $("shares").replaceChildren();
  $("instances").replaceChildren();
  net.shareRows = new Map([...net.clientsOf.keys()].map((ingress) => [ingress, row($("shares"), ingress)]));
  net.instanceRows = new Map(net.instances.map((item) => {
    const drawn = row($("instances"), item.name);
    drawn.busy = put(drawn.bar, "i");
    drawn.waits = put(drawn.bar, "i", { class: "waits" });
    drawn.busy.style.background = colour(item.site);
    return [item.name, drawn];
  }));
}

function showInstances(now) {
  const pressure = (name) => {
    const load = now.instances[name];
    return load ? load.utilisation + (load.busy + load.queue) / load.workers : Infinity;
  };
  const names = [...net.instanceRows.keys()];
  const chosen = new Set(names.length <= MOST_ROWS ? names : [...names].sort((a, b) => pressure(b) - pressure(a)).slice(0, MOST_ROWS));
  $("more").hidden = chosen.size === names.length;
  $("more").textContent = `and ${names.length - chosen.size} less busy`;
  for (const [name, { line, busy, waits, says }] of net.instanceRows) {
    line.hidden = !chosen.has(name);
    if (line.hidden) continue;
    const load = now.instances[name], off = !load || now.silent.includes(name);
    line.classList.toggle("is-off", off);
    const all = off ? 1 : Math.max(load.workers, load.busy + load.queue);
    busy.style.width = off ? "0" : `${100 * Math.max(load.busy, Math.min(load.utilisation * load.workers, all - load.queue)) / all}%`;
    waits.style.width = off ? "0" : `${100 * load.queue / all}%`;
    says.textContent = off ? "does not run"
      : `${load.busy} of ${load.workers} busy, ${load.queue} wait, ${share(load.utilisation)}; ${number(load.completed)} done`
        + (load.refused ? `, ${number(load.refused)} refused` : "") + (load.sessions ? `, ${load.sessions} open` : "");
  }
}

function drawFaults() {
  $("broken").hidden = !net.faults.length;
  $("faults").replaceChildren();
  net.faultRows = new Map(net.faults.map((fault) => {
    const line = put($("faults"), "li");
    const when = put(line, "span", { class: "when" });
    return [fault.number, { line, when, what: put(line, "span") }];
  }));
}

function showFaults(now) {
  const cut = new Set(), broken = new Set();
  for (const { number: n, began_s: began, ended_s: ended, remark } of now.faults) {
    const fault = net.faults.find((item) => item.number === n), drawn = net.faultRows.get(n);
    const on = began !== null && ended === null;
    drawn.line.classList.toggle("is-on", on);
    drawn.when.textContent = began === null ? `due at ${fault.at_s} s` : on ? `since ${number(began, 1)} s` : `${number(began, 1)} to ${number(ended, 1)} s`;
    drawn.what.textContent = `${fault.kind.replaceAll("_", " ")}: ${fault.target}${remark ? ` (${remark})` : ""}`;
    if (!on) continue;
    for (const [a, b] of fault.links) cut.add(key(a, b));
    if (fault.site && !fault.links.length) broken.add(fault.site);
  }
  for (const [link, { base }] of net.lines) base.classList.toggle("is-cut", cut.has(link));
  for (const [name, { group }] of net.groups) group.classList.toggle("is-broken", broken.has(name));
}

// -- charts ---------------------------------------------------------------------------------------------------------

function showCharts(now) {
  const seconds = now.history;
  const first = seconds.length ? seconds[0][0] : 0;
  const last = Math.max(first + 20, seconds.length ? seconds.at(-1)[0] + 1 : 0);
  const means = seconds.map(([, , , mean]) => mean ?? 0), counts = seconds.map(([, ended]) => ended);
  const mostMs = Math.max(1, ...means), most = Math.max(1, ...counts);
  $("mean").textContent = `up to ${time(mostMs)}`;
  $("rate").textContent = `up to ${number(most)}/s`;
  let line = "", pen = "M";
  for (const [at, , , mean] of seconds) {
    if (mean === null) { pen = "M"; continue; } // nothing completed: a gap
    line += `${pen}${at + 0.5} ${100 - 94 * mean / mostMs}`;
    pen = "L";
  }
  const bars = (count) => seconds.map((item) => count(item) ? `M${item[0] + 0.08} 100V${100 - 94 * count(item) / most}h0.84V100Z` : "").join("");
  chart($("times"), first, last, now, [["line", line]]);
  chart($("counts"), first, last, now, [["ended", bars((item) => item[1])], ["failed", bars((item) => item[2])]]);
}

function chart(svg, first, last, now, paths) {
  svg.setAttribute("viewBox", `${first} 0 ${last - first} 101`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.replaceChildren();
  for (const { began_s: began, ended_s: ended } of now.faults) {
    if (began === null) continue;
    const end = ended ?? now.elapsed_s;
    if (end > first) put(svg, "rect", { class: "fault", x: Math.max(first, began), width: end - Math.max(first, began), y: 0, height: 100 });
  }
  put(svg, "path", { class: "axis", d: `M${first} 100H${last}` });
  for (const [name, d] of paths) put(svg, "path", { class: name, d });
}

// -- flows on their way ---------------------------------------------------------------------------------------------

const dots = [];
const owed = new Map();
let lastFrame = 0;

function frame(at) {
  requestAnimationFrame(frame);
  const passed = Math.min(0.1, (at - lastFrame) / 1000);
  lastFrame = at;
  if (!net) return;
  if (state && !still.matches) emit(passed);
  for (let n = dots.length - 1; n >= 0; n--) {
    const dot = dots[n];
    dot.gone += passed * DOT_SPEED * net.scale;
    while (dot.leg < dot.legs.length && dot.gone > dot.legs[dot.leg].length) dot.gone -= dot.legs[dot.leg++].length;
    if (dot.leg >= dot.legs.length || still.matches) {
      dot.circle.remove();
      dots.splice(n, 1);
      continue;
    }
    const { a, b, length } = dot.legs[dot.leg], part = dot.gone / length;
    dot.circle.setAttribute("cx", a.x + (b.x - a.x) * part);
    dot.circle.setAttribute("cy", a.y + (b.y - a.y) * part);
    dot.circle.setAttribute("r", 3.2 * net.scale);
  }
}

function emit(passed) {
  const total = state.flows.reduce((sum, [, , perS]) => sum + perS, 0);
  const dotsPerFlow = Math.min(1, MOST_DOTS_PER_S / Math.max(total, 1e-9));
  for (const [ingress, site, perS] of state.flows) {
    const pair = `${ingress}\n${site}`;
    let due = (owed.get(pair) ?? Math.random()) + perS * dotsPerFlow * passed;
    for (; due >= 1; due--) send(ingress, site);
    owed.set(pair, due);
  }
}

function send(ingress, site) {
  const clients = net.clientsOf.get(ingress) ?? [];
  const client = clients[Math.floor(Math.random() * clients.length)];
  const path = net.paths[ingress]?.[site];
  if (!path) return;
  const places = [...(client ? [client.name] : []), ...path].map((name) => net.place.get(name));
  const legs = places.slice(1).map((b, n) => ({ a: places[n], b, length: Math.max(1e-3, Math.hypot(b.x - places[n].x, b.y - places[n].y)) }));
  if (!legs.length) return;
  const circle = put(net.dots, "circle", { fill: colour(site) });
  dots.push({ circle, legs, leg: 0, gone: 0 });
}

// -- the connection -------------------------------------------------------------------------------------------------

function link(kind, text) {
  $("link").dataset.is = kind;
  $("link").textContent = text;
}

function finish(end) {
  const looks = { valid: "live", suspect: "doubt" }[end.verdict];
  link(end.status === "finished" && looks || "bad", end.verdict ? `${end.status}: ${end.verdict}` : end.status);
  $("phase").textContent = $("time").textContent = "";
  $("outcome").hidden = false;
  $("outcome").textContent = [
    { finished: "The run has finished.", interrupted: "The run was interrupted." }[end.status] ?? `The run failed: ${end.error}`,
    ...(end.reasons ?? []),
    ...(end.run_dir ? [`Results: ${end.run_dir}`] : []),
  ].join("\n");
  if (state) state.flows = []; // the last dots arrive, no more set out
}

const source = new EventSource("/events");
const on = (kind, take) => source.addEventListener(kind, (event) => take(JSON.parse(event.data)));
source.onopen = () => link("live", "live");
source.onerror = () => link("lost", "connection lost, trying again");
on("network", drawNetwork);
on("phase", ({ text }) => { $("phase").textContent = text; });
on("state", (now) => { if (net) show(now); });
on("end", (end) => { source.close(); finish(end); });
new ResizeObserver(fit).observe($("map").parentNode);
addEventListener("resize", fit);
requestAnimationFrame(frame);
