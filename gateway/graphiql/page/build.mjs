// Bundles the page into ../assets: files named by their content (cached for ever), each with a gzipped twin, and index.html.
// index.html comes last: it is make's sign that the build is whole.
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "assets");
// graphiql/style.css holds Monaco's styles already.
const noMonacoStyles = {
  name: "no-monaco-styles",
  setup({ onLoad }) {
    onLoad({ filter: /monaco-editor.*\.css$/ }, () => ({ contents: "", loader: "css" }));
  },
};
const options = {
  absWorkingDir: here,
  outdir: out,
  bundle: true,
  minify: true,
  metafile: true,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  target: ["es2022"],
  legalComments: "eof",
  logLevel: "warning",
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [noMonacoStyles],
};

const workers = {
  editor: "monaco-editor/esm/vs/editor/editor.worker.js",
  json: "monaco-editor/esm/vs/language/json/json.worker.js",
  graphql: "monaco-graphql/esm/graphql.worker.js",
};

const fileName = (path) => path.split("/").at(-1);
const sizeOf = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

async function buildWorkers() {
  const names = {};
  for (const [label, entry] of Object.entries(workers)) {
    const { metafile } = await build({ ...options, format: "iife", entryPoints: { [`${label}.worker`]: entry } });
    names[label] = fileName(Object.keys(metafile.outputs)[0]);
  }
  return names;
}

async function buildPage(names) {
  const { metafile } = await build({
    ...options,
    format: "esm",
    splitting: true,
    jsx: "automatic",
    entryPoints: { graphiql: "src/main.jsx" },
    define: { ...options.define, WORKERS: JSON.stringify(names) },
  });
  const outputs = Object.entries(metafile.outputs);
  const [script, entry] = outputs.find(([, output]) => output.entryPoint === "src/main.jsx");
  return { script: fileName(script), style: fileName(entry.cssBundle), lazy: editorChunks(metafile.outputs, script) };
}

// The editor is imported lazily, after the first render; asking for its chunks at once saves a round trip each.
function editorChunks(outputs, script) {
  const found = new Set();
  const visit = (path) => {
    if (path === script || found.has(path)) return;
    found.add(path);
    outputs[path].imports.filter((i) => i.kind === "import-statement").forEach((i) => visit(i.path));
  };
  for (const [path, { entryPoint }] of Object.entries(outputs)) {
    if (/monaco-graphql\/esm\/(monaco-editor|lite)\.js$/.test(entryPoint ?? "")) visit(path);
  }
  outputs[script].imports.filter((i) => i.kind === "import-statement").forEach((i) => visit(i.path));
  return [...found].filter((path) => path.endsWith(".js")).map(fileName);
}

async function compress(style) {
  let raw = 0;
  let packed = 0;
  for (const name of await readdir(out)) {
    // esbuild writes a style sheet for each lazy chunk, which no browser is ever told to load.
    if (name.endsWith(".css") && name !== style) {
      await rm(join(out, name));
      continue;
    }
    const content = await readFile(join(out, name));
    const small = await promisify(gzip)(content, { level: 9 });
    await writeFile(join(out, `${name}.gz`), small);
    raw += content.length;
    packed += small.length;
  }
  console.log(`GraphiQL page: ${sizeOf(raw)}, gzipped ${sizeOf(packed)}, in ${out}`);
}

async function writeIndex({ script, style, lazy }) {
  const head = [
    `<link rel="stylesheet" href="graphiql/assets/${style}" />`,
    `<script type="module" src="graphiql/assets/${script}"></script>`,
    ...lazy.map((name) => `<link rel="modulepreload" href="graphiql/assets/${name}" />`),
  ];
  const html = await readFile(join(here, "src", "index.html"), "utf8");
  await writeFile(join(out, "index.html"), html.replace("<!-- head -->", head.join("\n    ")));
}

await rm(out, { recursive: true, force: true });
await mkdir(out);
const page = await buildPage(await buildWorkers());
await compress(page.style);
await writeIndex(page);
