// The dashboard in a real browser: the program serves its page before an API server that is played here, with a rollout in
// each phase of tests/phases. Looked at: what is shown, what a word sends, the keyboard, a narrow screen, both schemes, and
// with axe names and contrast. Screenshots go to the folder named last.
// node run.mjs TOP PROGRAM CHROMIUM FOLDER
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [top, program, browserPath, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
mkdirSync(folder, { recursive: true });

// The cluster: one rollout for each phase, named after it, and one that is undecided.
const rollouts = new Map();
for (const file of readdirSync(join(top, "tests/phases"))) {
  const rollout = JSON.parse(readFileSync(join(top, "tests/phases", file)));
  rollout.metadata.name = rollout.status.phase.toLowerCase();
  rollouts.set(rollout.metadata.name, rollout);
}
const undecided = structuredClone(rollouts.get("holding"));
undecided.metadata.name = "undecided";
undecided.status.gates = [
  { name: "errors", verdict: "Undecided", value: "0.4%", limit: "1%", compared: "active 0.3%, candidate (0.1%…0.9%)", samples: 412, at: "2027-01-15T08:00:10Z", reason: "174 more requests", step: 1 },
  { name: "p95", verdict: "Fail", value: "2.7s", limit: "1.5s", color: "green", samples: 412, window: "60s", at: "2027-01-15T08:00:10Z", reason: "1 of the last 3 samples bad, 2 fail the gate", step: 1 },
];
undecided.status.message = "<img src=x onerror=alert(1)> is only text";
rollouts.set("undecided", undecided);
const record = { schema: "llmrollout.io/record/v1", namespace: "llm", rollout: "undecided", attempt: 2, entries: [
  { at: "2027-01-15T08:00:00Z", step: 0, kind: "Began" },
  { at: "2027-01-15T08:01:00Z", step: 1, kind: "Confirmed", weight: 5, routers: [] },
  { at: "2027-01-15T08:31:00Z", step: 2, kind: "Confirmed", weight: 20, routers: [] },
] };
const events = [{ metadata: { name: "e", namespace: "llm" }, involvedObject: {}, reason: "Holding", message: "step 1 of 4 at 5%", lastTimestamp: "2027-01-15T08:01:00Z" }];
const sent = [];

function answer(request, body) {
  const path = new URL(request.url, "http://x").pathname;
  if (path.endsWith("/selfsubjectreviews")) return { status: { userInfo: { username: "ada" } } };
  if (request.method === "POST") {
    const order = JSON.parse(body);
    sent.push(order);
    order.metadata = { name: `${order.spec.rollout}-x`, uid: `uid-${sent.length}` };
    const { verb, rollout, approver } = order.spec;
    const heard = { name: order.metadata.name, uid: order.metadata.uid, verb, by: approver, taken: true, message: "traffic goes back", at: "2027-01-15T08:02:00Z" };
    rollouts.get(rollout).status.orders = [heard];
    return order;
  }
  if (path.endsWith("/llmrollouts")) return { apiVersion: "llmrollout.io/v1alpha1", kind: "LlmRolloutList", metadata: {}, items: [...rollouts.values()] };
  if (path.endsWith("/events")) return { apiVersion: "v1", kind: "EventList", metadata: {}, items: events };
  if (path.includes("/configmaps/undecided-attempt-")) return { metadata: { name: "r" }, data: { "record.json": JSON.stringify(record) } };
  const one = rollouts.get(path.split("/").at(-1));
  return one ?? { kind: "Status", apiVersion: "v1", status: "Failure", code: 404, reason: "NotFound", message: "not found" };
}

const api = createServer(async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  const said = answer(request, body);
  response.writeHead(said.code ?? 200, { "content-type": "application/json" }).end(JSON.stringify(said));
});
api.listen(0, "127.0.0.1");
await once(api, "listening");

const own = mkdtempSync(join(tmpdir(), "llmrollout-browser-"));
const kubeconfig = join(own, "kubeconfig");
writeFileSync(kubeconfig, JSON.stringify({
  apiVersion: "v1", kind: "Config", "current-context": "lab",
  clusters: [{ name: "lab", cluster: { server: `http://127.0.0.1:${api.address().port}` } }],
  users: [{ name: "lab", user: {} }], contexts: [{ name: "lab", context: { cluster: "lab", user: "lab", namespace: "llm" } }],
}));
const served = spawn(program, ["dashboard", "--kubeconfig", kubeconfig], { stdio: ["ignore", "pipe", "inherit"] });
const url = await new Promise((told, failed) => {
  createInterface({ input: served.stdout }).once("line", told);
  served.once("exit", () => failed(new Error("the dashboard ended")));
});

const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: browserPath, args: quiet });
let passed = 0, failed = 0;

async function claim(what, prove) {
  try {
    await prove();
    passed += 1;
    console.log(`ok     ${what}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${what}\n${error.stack ?? error}`);
  }
}

async function open(name, { scheme = "light", width = 1200, height = 900 } = {}) {
  const page = await browser.newPage({ colorScheme: scheme, viewport: { width, height } });
  page.asked = [];
  page.on("request", (request) => page.asked.push(request.url()));
  page.on("pageerror", (error) => { page.broken = error; });
  await page.goto(`${url}#${encodeURIComponent(`llm/${name}`)}`);
  await page.locator("#story h2", { hasText: `llm/${name}` }).waitFor();
  return page;
}

async function accessible(page) {
  await page.evaluate(axe + "; undefined");
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html + " " + n.failureSummary).join("; ")}`), []);
}

for (const [name, words] of [["completed", "Completed"], ["undecided", "174 more requests"], ["rolledback", "RolledBack"], ["paused", "Paused"], ["blocked", "Blocked"]]) {
  for (const scheme of ["light", "dark"]) {
    await claim(`${name}, ${scheme}: shown, and nothing for axe to say`, async () => {
      const page = await open(name, { scheme });
      assert.ok((await page.locator("#story").innerText()).includes(words));
      await page.screenshot({ path: join(folder, `${name}-${scheme}.png`), fullPage: true });
      await accessible(page);
      assert.equal(page.broken, undefined);
      await page.close();
    });
  }
}

await claim("every rollout is in the list, and a link leads to its story", async () => {
  const page = await open("completed");
  assert.equal(await page.locator("#list a").count(), rollouts.size);
  await page.locator("#list a", { hasText: "llm/holding" }).click();
  await page.locator("#story h2", { hasText: "llm/holding" }).waitFor();
  assert.equal(await page.locator("#list a[aria-current=page]").count(), 1);
  await page.close();
});

await claim("values stand beside limits, the weights over time are drawn, and words of a manifest are no markup", async () => {
  const page = await open("undecided");
  const gate = page.locator(".gate", { hasText: "p95" });
  assert.ok((await gate.innerText()).includes("2.7s") && (await gate.innerText()).includes("limit 1.5s"));
  assert.equal(await gate.locator("[aria-label='180 percent of the limit']").count(), 1);
  assert.ok((await page.locator(".gate", { hasText: "errors" }).innerText()).includes("active 0.3%"));
  assert.ok((await page.locator("svg").first().getAttribute("aria-label")).includes("20% at 2027-01-15T08:31:00Z"));
  assert.ok((await page.locator("#story").innerText()).includes("<img src=x onerror=alert(1)> is only text"));
  assert.equal(await page.locator("#story img").count(), 0);
  await page.close();
});

await claim("a change is seen without a reload", async () => {
  const page = await open("holding");
  rollouts.get("holding").status.message = "something else is going on";
  await page.getByText("something else is going on").waitFor();
  await page.close();
});

await claim("nothing is asked of anybody else", async () => {
  const page = await open("undecided");
  assert.deepEqual(page.asked.filter((asked) => !asked.startsWith(url) && !asked.startsWith("data:")), []);
  await page.close();
});

await claim("a word takes two presses, by keyboard alone, and its answer is told", async () => {
  const page = await open("undecided");
  await page.locator("[data-word=abort]").focus();
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  await accessible(page);
  await page.screenshot({ path: join(folder, "question.png") });
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor({ state: "detached" });
  assert.equal(sent.length, 0, "the first thing under the finger is No");
  await page.locator("[data-word=abort]").click();
  await page.locator("#reason").fill("bad answers");
  await page.locator("#yes").focus();
  await page.keyboard.press("Enter");
  await page.locator("#answer", { hasText: "traffic goes back" }).waitFor();
  const { verb, approver, reason, attempt } = sent[0].spec;
  assert.deepEqual([sent.length, verb, approver, reason, attempt], [1, "Abort", "ada", "bad answers", 2]);
  await page.close();
});

await claim("who refuses says why", async () => {
  const page = await open("awaitingapproval");
  const before = sent.length;
  await page.locator("[data-word=reject]").click();
  await page.locator("#yes").click();
  assert.ok(await page.locator("dialog[open]").isVisible() && sent.length === before, "not without a reason");
  await page.locator("#reason").fill("not on a Friday");
  await page.locator("#yes").click();
  await page.locator("#answer", { hasText: "traffic goes back" }).waitFor();
  const { verb, reason } = sent.at(-1).spec;
  assert.deepEqual([sent.length, verb, reason], [before + 1, "Reject", "not on a Friday"]);
  await page.close();
});

await claim("a narrow screen shows all of it", async () => {
  const page = await open("undecided", { width: 360, height: 740 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 360, `${wide} wide`);
  await page.screenshot({ path: join(folder, "narrow.png"), fullPage: true });
  await accessible(page);
  await page.close();
});

await claim("another page of the same browser gets nothing said", async () => {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${api.address().port}/`);
  const before = sent.length;
  await page.evaluate(async (to) => {
    await fetch(`${to}words`, { method: "POST", mode: "no-cors", body: JSON.stringify({ namespace: "llm", name: "holding", verb: "abort", reason: "x" }) }).catch(() => {});
  }, url);
  assert.equal(sent.length, before);
  await page.close();
});

await claim("when the program ends, the page says that it is old", async () => {
  const page = await open("completed");
  served.removeAllListeners("exit");
  served.kill("SIGINT");
  await page.locator("#live.lost", { hasText: "old" }).waitFor();
  await page.close();
});

await browser.close();
api.closeAllConnections();
api.close();
rmSync(own, { recursive: true });
console.log(`total: ${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
