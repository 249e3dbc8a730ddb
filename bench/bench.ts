import { parseArgs } from 'node:util'
import { nearest } from '../src/kernel/nearest.ts'
import { benches } from './benches.ts'
import type { Bench } from './lib/bench.ts'
import { inLab } from './lib/lab.ts'
import { thisMachine } from './lib/machine.ts'
import { page, writePage } from './lib/page.ts'
import { commitOf, resultsFolder, triesFolder, writeResult } from './lib/results.ts'
import { plainTable, tableOf } from './lib/table.ts'

const usage = `usage: npm run bench -- NAME [--n COUNT] [--out FOLDER]
  all     every bench, one after the other
  report  writes ${page} anew from the results
`

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  return 1
})

async function main(args: string[]): Promise<number> {
  const options = { n: { type: 'string' }, out: { type: 'string' } } as const
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  const [name, ...more] = positionals
  if (name === undefined) return listed()
  const n = values.n === undefined ? undefined : Number(values.n)
  if (more.length > 0 || (n !== undefined && !(Number.isInteger(n) && n > 0))) return misused(usage)
  if (name === 'report') return reported()
  const chosen = name === 'all' ? benches : benches.filter((bench) => bench.name === name)
  if (chosen.length === 0) return unknown(name)
  for (const bench of chosen) await measure(bench, n, values.out ?? (n === undefined ? resultsFolder : triesFolder))
  if (n === undefined) console.error('`npm run bench -- report` puts the results into the page')
  return 0
}

function listed(): number {
  const rows = benches.map(({ name, n, of }) => `  ${name.padEnd(13)}${n.toLocaleString('en')} ${of}`)
  console.log(`${usage}\nbenches, and what --n counts:\n${rows.join('\n')}`)
  return 0
}

function misused(text: string): number {
  console.error(text)
  return 2
}

function unknown(name: string): number {
  const meant = nearest(name, [...benches.map((bench) => bench.name), 'all', 'report'])
  return misused(`there is no bench ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}\n${usage}`)
}

function reported(): number {
  writePage(resultsFolder)
  console.log(`${page} is written`)
  return 0
}

async function measure(bench: Bench, n: number | undefined, folder: string): Promise<void> {
  const machine = thisMachine()
  const at = new Date().toISOString()
  const figures = await inLab(
    n ?? bench.n,
    (text) => console.error(`${bench.name}: ${text}`),
    (lab) => bench.run(lab),
  )
  const command = `npm run bench -- ${bench.name}${n === undefined ? '' : ` --n ${n}`}`
  const file = writeResult(folder, { bench: bench.name, at, command, commit: commitOf(), machine, figures: [...figures] })
  console.log(`${bench.name}\n${plainTable(tableOf(figures))}\n`)
  console.error(`${bench.name}: written to ${file}`)
}
