// Bundles every fleetapp/<folder>/assets/*.{js,css} that does not start with "_" into fleetapp/web/static/dist, under
// names that carry a digest of the content, and writes manifest.json: {"app.js": "app-1A2B3C4D.js", ...}.
// fleetapp/web/assets/icons.json names the icons of the sprite: "car" is Tabler's outline, "car-filled" its filled one.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = dirname(fileURLToPath(import.meta.url));
const DIST = join(ROOT, "fleetapp/web/static/dist");
const ICONS = join(ROOT, "node_modules/@tabler/icons/icons");

class Refused extends Error {}

function findEntries() {
  const folders = readdirSync(join(ROOT, "fleetapp"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(ROOT, "fleetapp", entry.name, "assets"))
    .filter((folder) => existsSync(folder));
  return folders
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((path) => /^[^_.].*\.(js|css)$/.test(basename(path)))
    .sort();
}

/** One bundle per entry; a script that imports style sheets (the map's) also yields a .css of the same name. */
async function bundle(entry) {
  const result = await build({
    entryPoints: [entry],
    outdir: DIST,
    entryNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: "iife",
    // Office computers on domestic systems run browsers on a Chromium of about this age.
    target: ["chrome100", "firefox100", "safari15"],
    loader: { ".svg": "file", ".png": "file", ".woff2": "file" },
    legalComments: "eof",
    logLevel: "warning",
    absWorkingDir: ROOT,
    nodePaths: [join(ROOT, "node_modules")],
  });
  return result.outputFiles.map((file) => ({
    name: basename(file.path).replace(/-[A-Z0-9]{8}(\.[a-z0-9]+)$/, "$1"),
    file: basename(file.path),
    bytes: Buffer.from(file.contents),
  }));
}

function readIcon(name) {
  const outline = join(ICONS, "outline", `${name}.svg`);
  const filled = join(ICONS, "filled", `${name.replace(/-filled$/, "")}.svg`);
  if (existsSync(outline)) return { text: readFileSync(outline, "utf8"), paint: 'fill="none" stroke="currentColor"' };
  if (name.endsWith("-filled") && existsSync(filled)) {
    return { text: readFileSync(filled, "utf8"), paint: 'fill="currentColor" stroke="none"' };
  }
  throw new Refused(`icons.json: @tabler/icons has no icon "${name}"; look for a name in ${ICONS}/outline`);
}

/** The width of strokes is left to the page's style sheet (Tabler's class "icon"). */
function makeSprite() {
  const names = JSON.parse(readFileSync(join(ROOT, "fleetapp/web/assets/icons.json"), "utf8"));
  const symbols = [...new Set(names)].sort().map((name) => {
    const { text, paint } = readIcon(name);
    const shapes = text
      .replace(/^[\s\S]*?<svg[^>]*>/, "")
      .replace(/<\/svg>\s*$/, "")
      .replace(/<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*\/>/, "")
      .replace(/\s+/g, " ")
      .trim();
    const lines = 'stroke-linecap="round" stroke-linejoin="round"';
    return `<symbol id="${name}" viewBox="0 0 24 24" ${paint} ${lines}>${shapes}</symbol>`;
  });
  const bytes = Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("\n")}</svg>\n`);
  const digest = createHash("sha256").update(bytes).digest("hex").slice(0, 8).toUpperCase();
  return { name: "icons.svg", file: `icons-${digest}.svg`, bytes };
}

async function main() {
  const outputs = (await Promise.all(findEntries().map(bundle))).flat().concat(makeSprite());
  const manifest = {};
  for (const { name, file } of outputs) {
    if (manifest[name] && manifest[name] !== file) {
      throw new Refused(`two assets would both be called "${name}": rename one of them`);
    }
    manifest[name] = file;
  }
  mkdirSync(DIST, { recursive: true });
  for (const { file, bytes } of outputs) writeFileSync(join(DIST, file), bytes);
  // A page in flight finds either the whole old set or the whole new one.
  const draft = join(DIST, ".manifest.json");
  writeFileSync(draft, `${JSON.stringify(manifest, Object.keys(manifest).sort(), 1)}\n`);
  renameSync(draft, join(DIST, "manifest.json"));
  const kept = new Set(["manifest.json", ".stamp", ...Object.values(manifest)]);
  for (const old of readdirSync(DIST).filter((name) => !kept.has(name))) rmSync(join(DIST, old), { recursive: true });
  for (const { file, bytes } of outputs) console.log(`${String(bytes.length).padStart(9)}  ${file}`);
}

try {
  await main();
} catch (error) {
  console.error(
    `build.mjs: ${error instanceof Refused ? error.message : "the bundles could not be built (see above)"}`,
  );
  if (!(error instanceof Refused) && !error.errors) console.error(error);
  process.exit(1);
}
