// Writes cases.json: expressions, inputs and what the reference engine makes of them.
//
//   npm install jsonata@2.2.2
//   node generate.mjs <jsonata test-suite directory> > cases.json
//
// The test-suite directory holds datasets/*.json and groups/**/*.json as in the repository of jsonata-js; the copy in
// the source of the crate jsonata-rs 0.3.4 (tests/testsuite, with its skip/ directory) was used. own.json holds cases of
// ours. Cases whose result depends on clock or chance, is a function, or has lone surrogates are left out, as are those
// about the engine's own time and depth limits.
import { readFileSync, readdirSync, existsSync } from "node:fs";
import { join, basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import jsonata from "jsonata";

const here = dirname(fileURLToPath(import.meta.url));
const suite = process.argv[2];
const read = (path) => JSON.parse(readFileSync(path, "utf8"));

function holdsFunction(value) {
  if (typeof value === "function" || (value && (value._jsonata_lambda || value._jsonata_function))) return true;
  return value !== null && typeof value === "object" && Object.values(value).some(holdsFunction);
}
const surrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const unstable = /\$(now|millis|random|shuffle)\b/;

function* official() {
  for (const part of ["groups", "skip"]) {
    for (const group of readdirSync(join(suite, part)).sort()) {
      for (const file of readdirSync(join(suite, part, group)).sort()) {
        if (!file.endsWith(".json")) continue;
        const content = read(join(suite, part, group, file));
        const cases = Array.isArray(content) ? content : [content];
        for (const [index, spec] of cases.entries()) {
          const expr = spec.expr ?? readFileSync(join(suite, part, group, spec["expr-file"]), "utf8");
          const name = `${group}/${basename(file, ".json")}${cases.length > 1 ? "/" + index : ""}`;
          yield { name, expr, dataset: spec.dataset ?? undefined, data: spec.data, bindings: spec.bindings, limits: spec.timelimit || spec.depth };
        }
      }
    }
  }
}
function* own() {
  const { data, expressions } = read(join(here, "own.json"));
  for (const [index, expr] of expressions.entries()) yield { name: `own/${index}`, expr, dataset: "own", own: data };
}

const datasets = {};
const cases = [];
for (const spec of [...official(), ...own()]) {
  if (spec.limits || unstable.test(spec.expr) || spec.expr.includes("$eval")) continue;
  if (spec.dataset && !(spec.dataset in datasets)) {
    const path = join(suite, "datasets", `${spec.dataset}.json`);
    datasets[spec.dataset] = spec.own ?? (existsSync(path) ? read(path) : null);
  }
  const input = spec.dataset ? structuredClone(datasets[spec.dataset]) : structuredClone(spec.data ?? null); // a record is never undefined
  let expected;
  try {
    const value = await jsonata(spec.expr).evaluate(input, structuredClone(spec.bindings ?? {}));
    if (holdsFunction(value)) continue;
    expected = value === undefined ? { undefined: true } : { value: JSON.parse(JSON.stringify(value)) };
  } catch (error) {
    if (!error.code) continue; // an internal error of the reference engine
    expected = { error: error.code };
  }
  const bindings = Object.keys(spec.bindings ?? {}).length ? spec.bindings : undefined;
  const line = { name: spec.name, expr: spec.expr, dataset: spec.dataset, data: spec.data, bindings, ...expected };
  if (surrogate.test(JSON.stringify(line)) || /\\ud[89ab]/i.test(JSON.stringify(line))) continue;
  cases.push(line);
}
const out = { reference: "jsonata 2.2.2", datasets, cases };
process.stdout.write(`{"reference":${JSON.stringify(out.reference)},\n"datasets":${JSON.stringify(out.datasets)},\n"cases":[\n${cases.map((c) => JSON.stringify(c)).join(",\n")}\n]}\n`);
