// Builds GraphiQL into ../static/graphiql: hashed names, compressed once here instead of at every request.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const out = new URL("../static/graphiql/", import.meta.url).pathname;
const shared = {
  bundle: true,
  minify: true,
  target: "es2022",
  outdir: out,
  metafile: true,
  legalComments: "none",
  define: { "process.env.NODE_ENV": '"production"' },
  loader: { ".ttf": "file", ".woff2": "file" },
  logLevel: "warning",
};

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });

const workers = await build({
  ...shared,
  format: "iife",
  entryNames: "[name]-[hash]",
  entryPoints: {
    "worker-editor": "monaco-editor/esm/vs/editor/editor.worker.js",
    "worker-graphql": "monaco-graphql/esm/graphql.worker.js",
    "worker-json": "monaco-editor/esm/vs/language/json/json.worker.js",
  },
});
const page = await build({
  ...shared,
  format: "esm",
  splitting: true,
  jsx: "automatic",
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  assetNames: "[name]-[hash]",
  entryPoints: { graphiql: "src/main.jsx" },
});

const outputs = [...Object.keys(workers.metafile.outputs), ...Object.keys(page.metafile.outputs)].map(
  (path) => basename(path),
);
const named = (start, end) => outputs.find((name) => name.startsWith(start) && name.endsWith(end));
const workerNames = Object.fromEntries(
  ["editor", "graphql", "json"].map((label) => [label, named(`worker-${label}-`, ".js")]),
);
const base = "/static/graphiql/";
await writeFile(
  join(out, "index.html"),
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Penstock GraphiQL</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${base}${named("graphiql-", ".css")}">
<script type="application/json" id="penstock">{}</script>
<script type="application/json" id="workers">${JSON.stringify(workerNames)}</script>
<script type="module" src="${base}${named("graphiql-", ".js")}"></script>
</head>
<body>
<div id="graphiql"><noscript>GraphiQL needs JavaScript; the API is at /graphql.</noscript></div>
</body>
</html>
`,
);

await writeFile(join(out, "LICENCES.txt"), await licences([workers.metafile, page.metafile]));
for (const name of await readdir(out)) {
  if (name === "index.html" || name === "LICENCES.txt") continue;
  const bytes = await readFile(join(out, name));
  await writeFile(join(out, `${name}.gz`), gzipSync(bytes, { level: 9 }));
  await rm(join(out, name));
}

// The notice of every package that ended up in a bundle.
async function licences(metafiles) {
  const packages = new Set();
  for (const { inputs } of metafiles) {
    for (const path of Object.keys(inputs)) {
      const found = path.match(/^.*node_modules\/(@[^/]+\/[^/]+|[^/]+)/);
      if (found) packages.add(found[0]);
    }
  }
  const seen = new Map();
  for (const path of [...packages].sort()) {
    const about = JSON.parse(await readFile(join(path, "package.json"), "utf8"));
    const files = (await readdir(path)).filter((name) => /^(licen[cs]e|notice)/i.test(name)).sort();
    const texts = await Promise.all(files.map((name) => readFile(join(path, name), "utf8")));
    const text = texts.join("\n").trim() || `Licence: ${about.license}`;
    const digest = createHash("sha256").update(text).digest("hex");
    const title = `${about.name} ${about.version} (${about.license})`;
    seen.set(digest, { titles: [...(seen.get(digest)?.titles ?? []), title], text });
  }
  return [...seen.values()]
    .map(({ titles, text }) => `${titles.join("\n")}\n\n${text}\n`)
    .join(`\n${"-".repeat(80)}\n\n`);
}
