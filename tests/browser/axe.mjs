// A page of bm.report in Chromium: node axe.mjs FILE [CHROMIUM]. Prints what is wrong, a line each; 1 where something is,
// 3 where the browser itself gave up (a frame that is detached while it opens), which says nothing of the page.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(import.meta.url);
const puppeteer = (await import("puppeteer-core")).default;
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf-8");
const [file, executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium"] = process.argv.slice(2);
const url = pathToFileURL(resolve(file)).href;
const wrong = [];

process.on("uncaughtException", (e) => {
  console.error(e);
  process.exit(3);
});
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
for (const width of [390, 1280]) {
  for (const scheme of ["light", "dark"]) {
    const where = `${width} px, ${scheme}`;
    const page = await browser.newPage();
    page.on("console", (m) => ["error", "warn"].includes(m.type()) && wrong.push(`${where}: console: ${m.text()}`));
    page.on("pageerror", (e) => wrong.push(`${where}: ${e.message}`));
    page.on("request", (r) => {
      if (r.url() !== url && !r.url().startsWith("data:")) wrong.push(`${where}: asks for ${r.url()}`);
    });
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.goto(url);
    const [wide, room] = await page.evaluate(() => {
      const root = document.documentElement;
      return [root.scrollWidth, root.clientWidth];
    });
    if (wide > room) wrong.push(`${where}: the page is ${wide} px wide`);
    const silent = await page.$$eval("img, svg", (all) =>
      all.filter((e) => !(e.getAttribute("alt") || e.getAttribute("aria-label"))).length);
    if (silent) wrong.push(`${where}: ${silent} pictures have no words`);
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document));
    for (const v of found.violations.filter((v) => ["serious", "critical"].includes(v.impact))) {
      wrong.push(`${where}: ${v.id} (${v.impact}): ${v.nodes.map((n) => n.target.join(" ")).slice(0, 3).join("; ")}`);
    }
    await page.close();
  }
}
await browser.close();
for (const line of wrong) console.log(line);
console.log(wrong.length ? `${wrong.length} faults` : "no fault at 390 and 1280 px, in light and dark");
process.exit(wrong.length ? 1 : 0);
