// Draws what the server says; decides nothing. Every text goes in as text, so that no word of a manifest is ever markup.
"use strict";

const TOKEN = location.pathname.split("/")[1];
const QUESTIONS = {
  abort: "Take all traffic back now? This revision gets none again.",
  pause: "Stand still? Gates take nothing back while it is paused, unless the manifest says so.",
  resume: "Go on?",
  approve: "Agree to what waits for you?",
  reject: "Refuse what waits for you? Traffic goes back; say why.",
  promote: "Give the candidate everything with the next step?",
  skip: "Leave out the rest of what is being measured?",
  retry: "Try the revision that was taken back once more?",
};
const NAMES = { abort: "Take back", pause: "Pause", resume: "Go on", approve: "Approve", reject: "Refuse", promote: "Promote", skip: "Skip", retry: "Retry" };
const $ = (id) => document.getElementById(id);
const chosen = () => decodeURIComponent(location.hash.slice(1));
// Values of each gate since the page was opened: status keeps no history of them.
const curves = new Map();
let source, drawn = "", answer = "";

function el(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line", "text"].includes(name);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

// Lengths are set on the object: the page allows no style in its text.
function width(node, part) { node.style.width = `${Math.max(0, Math.min(1, part)) * 100}%`; return node; }

function list(rollouts) {
  $("list").replaceChildren(...rollouts.map((r) => {
    const key = `${r.namespace}/${r.name}`;
    const phase = el("span", { class: `phase ${r.phase ?? ""}` }, r.phase ?? "not seen yet");
    const link = el("a", { href: `#${encodeURIComponent(key)}`, "aria-current": key === chosen() ? "page" : null }, key, " ", phase,
      el("small", {}, [/^[1-9]/.test(r.step ?? "") && `step ${r.step} at ${r.weight}`, r.summary].filter(Boolean).join(" · ")));
    return el("li", {}, link);
  }));
  if (!rollouts.length) $("list").replaceChildren(el("li", {}, "There is none."));
}

function share(status) {
  const seen = (status.observedWeights ?? []).reduce((best, w) => (!best || Math.min(w.blue, w.green) > Math.min(best.blue, best.green) ? w : best), null);
  if (!seen) return null;
  const bar = (color) => width(el("span", { class: color }), seen[color] / 100);
  const words = el("p", {}, el("b", { class: "blue" }, `blue ${seen.blue}%`), ", ", el("b", { class: "green" }, `green ${seen.green}%`), ` in ${seen.router}`);
  return el("div", {}, el("div", { class: "share", "aria-hidden": "true" }, bar("blue"), bar("green")), words);
}

// Points of {x, y} as steps or as a line in a box of 460 by 90.
function chart(label, points, top, limits, stepped) {
  if (points.length < 2) return null;
  const [first, last] = [points[0].x, points[points.length - 1].x];
  const x = (at) => 40 + (410 * (at - first)) / Math.max(1, last - first);
  const y = (value) => 80 - (70 * value) / (top || 1);
  const path = points.map((p, i) => (i ? (stepped ? `H${x(p.x)}V${y(p.y)}` : `L${x(p.x)} ${y(p.y)}`) : `M${x(p.x)} ${y(p.y)}`)).join("");
  const lines = limits.map((limit) => el("line", { class: "limit", x1: 40, x2: 450, y1: y(limit), y2: y(limit) }));
  return el("svg", { viewBox: "0 0 460 96", role: "img", "aria-label": label }, el("line", { class: "axis", x1: 40, x2: 450, y1: 80, y2: 80 }),
    ...lines, el("path", { class: "curve", d: path }), el("text", { x: 40, y: 94 }, time(first)), el("text", { x: 450, y: 94, "text-anchor": "end" }, time(last)));
}

const time = (at) => new Date(at).toISOString().slice(11, 19) + "Z";

function weights(story) {
  if (!story.weights?.length) return null;
  const points = story.weights.map((w) => ({ x: Date.parse(w.at), y: Number(w.weight) }));
  const ended = story.status.attempt?.endedAt;
  const last = points[points.length - 1];
  points.push({ x: Math.max(ended ? Date.parse(ended) : Date.now(), last.x), y: last.y });
  const said = story.weights.map((w) => `${w.weight}% at ${w.at}`).join(", ");
  return el("div", {}, el("h2", {}, "Weight of the candidate"), chart(`Weight of the candidate over time: ${said}`, points, 100, [], true));
}

function gate(key, told) {
  const g = told.gate, curve = curves.get(`${key} ${g.name}`) ?? [];
  const at = Date.parse(g.at ?? "") || Date.now();
  if (told.value !== null && curve.at(-1)?.x !== at) curve.push({ x: at, y: told.value });
  curves.set(`${key} ${g.name}`, curve.slice(-300));
  const part = told.value !== null && told.most > 0 ? told.value / told.most : null;
  const meter = part === null ? null
    : el("div", { class: `of ${part > 1 ? "over" : ""}`, role: "img", "aria-label": `${Math.round(part * 100)} percent of the limit` }, width(el("i"), part));
  const limits = [told.least, told.most].filter((limit) => limit !== null);
  const top = Math.max(...curve.map((p) => p.y), ...limits) * 1.1;
  return el("article", { class: "gate" }, el("h3", {}, g.name, " ", el("span", { class: g.verdict }, g.verdict)),
    el("p", {}, el("span", { class: "figure" }, g.value || "no value"), ` limit ${g.limit}`), meter,
    g.compared ? el("p", {}, `beside it: ${g.compared}`) : null,
    el("p", { class: "soft" }, [g.color, g.samples && `${g.samples} samples`, g.window && `window ${g.window}`, g.at].filter(Boolean).join(", ")),
    g.reason ? el("p", {}, g.reason) : null, chart(`${g.name} since this page was opened`, curve, top, limits, false));
}

function table(title, heads, rows) {
  if (!rows?.length) return null;
  const row = (cells, cell) => el("tr", {}, ...cells.map((text) => el(cell, cell === "th" ? { scope: "col" } : {}, `${text}`)));
  return el("div", {}, el("h2", {}, title), el("table", {}, el("thead", {}, row(heads, "th")), el("tbody", {}, ...rows.map((cells) => row(cells, "td")))));
}

function story(s) {
  const key = `${s.namespace}/${s.name}`, status = s.status;
  const button = (word) => {
    const node = el("button", { type: "button", class: word, "data-word": word }, NAMES[word]);
    node.addEventListener("click", () => ask(s, word));
    return node;
  };
  const focused = document.activeElement?.dataset?.word;
  $("story").replaceChildren(...[
    el("h2", {}, key, " ", el("span", { class: `phase ${status.phase ?? ""}` }, status.phase ?? "not seen yet"), status.reason && status.reason !== status.phase ? `, ${status.reason}` : ""),
    el("p", {}, status.message ?? ""), el("p", {}, s.advice),
    el("div", { class: "buttons", role: "group", "aria-label": `Say to ${key}` }, ...s.words.map(button)),
    el("p", { id: "answer", role: "status" }, answer),
    s.steps.length ? el("ol", { class: "track", "aria-label": "Steps" }, ...s.steps.map((step) => el("li", { class: step.state, "aria-current": step.state === "now" ? "step" : null }, step.label))) : null,
    share(status), weights(s),
    s.gates.length ? el("h2", {}, "Gates") : null, el("div", { class: "gates" }, ...s.gates.map((told) => gate(key, told))),
    table("Events", ["time", "reason", "message"], s.events.map((e) => [e.at, e.reason, e.message])),
    table("Orders", ["time", "verb", "by", "what became of it"], status.orders?.map((o) => [o.at, o.verb, o.by, o.message])),
    table("Record of this attempt", ["time", "what", "details"], s.course?.slice().reverse().map((c) => [c.at, c.word, c.text])),
    table("Attempts before", ["ended", "attempt", "outcome", "message"], status.history?.map((p) => [p.endedAt, p.id, p.outcome, p.message ?? ""])),
  ].filter(Boolean));
  if (focused) $("story").querySelector(`[data-word="${focused}"]`)?.focus();
}

function ask(s, word) {
  $("question").textContent = QUESTIONS[word];
  $("yes").textContent = NAMES[word];
  $("reason").value = "";
  $("reason").required = word === "reject";
  $("yes").onclick = async () => {
    if (!$("reason").reportValidity()) return;
    $("ask").close();
    say(await send({ namespace: s.namespace, name: s.name, verb: word, reason: $("reason").value || "said on the dashboard" }));
  };
  $("ask").showModal();
  $("no").focus();
}

async function send(words) {
  say(`${NAMES[words.verb]}: waiting for the operator`);
  const headers = { "content-type": "application/json", "x-llmrollout-token": TOKEN };
  try {
    const said = await fetch("words", { method: "POST", headers, body: JSON.stringify(words) });
    if (!said.ok) return `not said: ${await said.text()}`;
    const { taken, message } = await said.json();
    return taken ? message : `not taken: ${message}`;
  } catch {
    return "not said: the command that serves this page has ended";
  }
}

function say(text) { answer = text; if ($("answer")) $("answer").textContent = text; }

function live(text, lost) { $("live").textContent = text; $("live").className = lost ? "lost" : ""; }

function listen() {
  source?.close();
  drawn = "";
  const of = chosen();
  source = new EventSource(of ? `events/${of.split("/").map(encodeURIComponent).join("/")}` : "events");
  source.onmessage = ({ data }) => {
    const seen = JSON.parse(data);
    live(seen.trouble ?? "live", Boolean(seen.trouble));
    if (seen.rollouts) list(seen.rollouts);
    if (seen.story) story(seen.story);
    if (seen.rollouts && !of && seen.rollouts.length === 1) location.hash = encodeURIComponent(`${seen.rollouts[0].namespace}/${seen.rollouts[0].name}`);
  };
  source.onerror = () => live("no connection: what is shown is old", true);
}

$("no").onclick = () => $("ask").close();
addEventListener("hashchange", () => { answer = ""; listen(); $("story").focus(); });
listen();
