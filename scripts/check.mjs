// What `npm test` runs: the static checks, then every test. It stops at nothing, remembers every failure, and counts at the end.
//   node scripts/check.mjs                        everything
//   node scripts/check.mjs --only lint,types      the named checks (`tests` is one of them)
//   node scripts/check.mjs test/core -t 'a name'  only vitest, with these arguments
//   node scripts/check.mjs --root DIRECTORY …     looks at another tree than this checkout
import { resolve } from 'node:path'
import { checks, runChecks } from './checks/checks.mjs'
import { counts, promises, skips, table } from './checks/summary.mjs'
import { hasPostgres, onEitherStore, runTests } from './checks/tests.mjs'

const known = [...Object.keys(checks), 'tests']

function usage(problem) {
  console.error(`${problem}\nusage: npm test -- [--only ${known.join(',')}] [--root DIRECTORY] [VITEST ARGUMENT…]`)
  process.exit(2)
}

function parse(args) {
  const rest = [...args]
  const take = (flag) => {
    const at = rest.findIndex((arg) => arg === flag || arg.startsWith(`${flag}=`))
    if (at === -1) return undefined
    const [found] = rest.splice(at, 1)
    return found === flag ? (rest.splice(at, 1)[0] ?? usage(`${flag} needs a value`)) : found.slice(flag.length + 1)
  }
  const only = take('--only')?.split(',')
  const root = resolve(take('--root') ?? resolve(import.meta.dirname, '..'))
  const wrong = only?.find((name) => !known.includes(name))
  if (wrong !== undefined) usage(`there is no check named ${wrong}`)
  return { names: only ?? (rest.length > 0 ? ['tests'] : known), root, rest }
}

function tell(result) {
  console.log(`${result.ok ? 'ok    ' : 'FAILED'} ${result.name}${result.note === undefined ? '' : ` (${result.note})`}`)
  if (!result.ok) console.log(`${result.output.trimEnd()}\n`)
}

if (Number(process.versions.node.split('.')[0]) < 24)
  usage(`this is Node ${process.versions.node}: run it as \`npm test\`, which brings Node 24`)
const { names, root, rest } = parse(process.argv.slice(2))
const results = await runChecks(
  names.filter((name) => name !== 'tests'),
  root,
  tell,
)
let tests
if (names.includes('tests')) {
  tests = await runTests(rest, root)
  tests.ok = tests.failed === 0
  tests.note = counts([tests]).line
  results.push(tests)
  if (rest.length === 0 && process.env.REGENT_TEST_STORE === undefined && hasPostgres(root)) {
    const again = await runTests(onEitherStore, root, { REGENT_TEST_STORE: 'postgres' })
    results.push({ ...again, name: 'on PostgreSQL', ok: again.failed === 0, note: counts([again]).line })
    tests.problems.push(...again.problems)
  }
}
console.log(table(results))
for (const problem of tests?.problems ?? []) console.log(`  ${problem}`)
for (const part of [await promises(root, tests), skips(tests)]) if (part !== '') console.log(part)
const { passed, failed, line } = counts(results)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
console.log(`\n${line}`)
