// Bundles the template engine with the application, minified, and writes the page.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { minify } from "terser";

mkdirSync("dist", { recursive: true });
const library = readFileSync("node_modules/mustache/mustache.js", "utf8");
const application = readFileSync("src/app.js", "utf8");
const { code } = await minify(`${library}\n${application}`);
writeFileSync("dist/app.js", code);
writeFileSync("dist/index.html", readFileSync("src/index.html"));
console.log(`dist/app.js: ${code.length} bytes`);
