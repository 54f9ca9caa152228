#!/usr/bin/env node
// Grades repairs against held-back records, with the reference engine of JSONata.
//   node grade-heal.mjs CASES RESULTS [--cases] [--json]
// CASES: a directory per case, with case.yaml ("expect": repair, infer, llm, refuse or none) and heldback.jsonl ({"input","expected"}).
// RESULTS: a file per case, {"id","verdict","mapping","ms"}. Exit code 1 when a wrong mapping was activated.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';

const modules = process.env.PRUNELLA_NODE_MODULES ?? path.join(process.cwd(), 'node_modules');
const require = createRequire(path.join(modules, 'index.js'));
const jsonata = require('jsonata');
const yaml = require('yaml');

const flags = process.argv.slice(2).filter(argument => argument.startsWith('--'));
const [casesDirectory, resultsDirectory] = process.argv.slice(2).filter(argument => !argument.startsWith('--'));
if (!resultsDirectory) {
  console.error('usage: grade-heal.mjs CASES RESULTS [--cases] [--json]');
  process.exit(2);
}

const plain = value => JSON.parse(JSON.stringify(value));
const lines = file => fs.readFileSync(file, 'utf8').split('\n').filter(line => line.trim()).map(line => JSON.parse(line));

// A mapping that loops starves timers, so every step looks at the clock.
async function evaluate(expression, input) {
  const end = Date.now() + 2000;
  expression.assign(Symbol.for('jsonata.__evaluate_entry'), async () => {
    if (Date.now() > end) throw new Error('too long');
  });
  try {
    const value = await expression.evaluate(plain(input));
    return value === undefined ? undefined : plain(value);
  } catch {
    return undefined;
  }
}

async function rightOnes(mapping, heldBack) {
  let expression;
  try {
    expression = jsonata(mapping);
  } catch {
    return 0;
  }
  let right = 0;
  for (const { input, expected } of heldBack) {
    right += isDeepStrictEqual(await evaluate(expression, input), expected) ? 1 : 0;
  }
  return right;
}

// What a verdict is worth, by what the case expects.
function outcome(expect, verdict, changed, right, all) {
  const wrong = verdict === 'activate' && right < all;
  switch (expect) {
    case 'none':
      if (verdict === 'unchanged' || (verdict === 'activate' && !changed)) return 'kept';
      return verdict === 'activate' ? (wrong ? 'harm' : 'needless') : 'false alarm';
    case 'refuse':
      if (verdict === 'activate') return changed ? 'harm' : 'unflagged';
      return verdict === 'unchanged' ? 'unflagged' : 'held';
    default:
      if (verdict === 'activate') return wrong ? 'harm' : 'right';
      if (verdict === 'review' && right === all) return 'proposed';
      return expect === 'llm' && verdict !== 'unchanged' ? 'held' : 'missed';
  }
}

const good = { repair: ['right'], infer: ['right'], llm: ['right', 'held', 'proposed'], refuse: ['held'], none: ['kept'] };
const rows = [];
for (const id of fs.readdirSync(casesDirectory).sort()) {
  const directory = path.join(casesDirectory, id);
  if (!fs.existsSync(path.join(directory, 'case.yaml'))) continue;
  const about = yaml.parse(fs.readFileSync(path.join(directory, 'case.yaml'), 'utf8'));
  const heldBack = lines(path.join(directory, 'heldback.jsonl'));
  const file = path.join(resultsDirectory, `${id}.json`);
  if (!fs.existsSync(file)) {
    rows.push({ id, expect: about.expect, outcome: 'no result', right: 0, of: heldBack.length, ms: null });
    continue;
  }
  const result = JSON.parse(fs.readFileSync(file, 'utf8'));
  const old = path.join(directory, 'mapping.jsonata');
  const before = fs.existsSync(old) ? fs.readFileSync(old, 'utf8').trim() : null;
  const mapping = typeof result.mapping === 'string' ? result.mapping.trim() : '';
  const right = mapping ? await rightOnes(mapping, heldBack) : 0;
  const kind = outcome(about.expect, result.verdict, mapping !== before, right, heldBack.length);
  rows.push({ id, expect: about.expect, outcome: kind, verdict: result.verdict, right, of: heldBack.length, ms: result.ms });
}

const count = (rows, kind) => rows.filter(row => row.outcome === kind).length;
const columns = ['right', 'proposed', 'missed', 'held', 'kept', 'needless', 'false alarm', 'unflagged', 'harm', 'no result'];
const times = rows.map(row => row.ms).filter(ms => ms !== null).sort((a, b) => a - b);
const summary = {
  cases: rows.length,
  good: rows.filter(row => good[row.expect]?.includes(row.outcome)).length,
  ...Object.fromEntries(columns.map(column => [column.replace(' ', '_'), count(rows, column)])),
  median_ms: times[Math.floor(times.length / 2)] ?? null,
  worst_ms: times.at(-1) ?? null,
};
if (flags.includes('--json')) {
  console.log(JSON.stringify({ ...summary, rows }));
} else {
  if (flags.includes('--cases')) {
    for (const row of rows) {
      console.log(`${row.outcome.padEnd(11)} ${row.expect.padEnd(7)} ${String(row.verdict ?? '-').padEnd(9)} ${`${row.right}/${row.of}`.padStart(7)}  ${row.id}`);
    }
    console.log('');
  }
  const cells = values => values.map((value, at) => String(value).padStart(Math.max(columns[at - 2]?.length ?? 5, 5))).join('  ');
  console.log('expect  ' + cells(['cases', 'good', ...columns]));
  for (const expect of Object.keys(good)) {
    const own = rows.filter(row => row.expect === expect);
    if (own.length === 0) continue;
    const fine = own.filter(row => good[expect].includes(row.outcome)).length;
    console.log(expect.padEnd(8) + cells([own.length, fine, ...columns.map(column => count(own, column) || '.')]));
  }
  console.log('all     ' + cells([summary.cases, summary.good, ...columns.map(column => count(rows, column) || '.')]));
  console.log(`median ${summary.median_ms} ms, worst ${summary.worst_ms} ms`);
}
process.exit(summary.harm > 0 ? 1 : 0);
