import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { benches } from '../benches.ts'
import type { Bench } from './bench.ts'
import type { Machine, Result } from './result.ts'
import { readResult } from './results.ts'
import { markdownTable, tableOf } from './table.ts'

/** The page, as a path in the checkout. */
export const page = 'docs/performance.md'
export const pageFile = join(import.meta.dirname, '../..', page)

export function writePage(folder: string): void {
  writeFileSync(pageFile, pageText(folder))
}

/** The whole page from the results in `folder`. */
export function pageText(folder: string): string {
  return `${intro}\n${benches.map((bench) => section(bench, readResult(folder, bench.name))).join('\n')}`
}

const intro = `<!-- Written by \`npm run bench -- report\` from bench/results; do not edit. -->
# Performance

\`npm run bench\` lists the measurements, \`npm run bench -- NAME\` takes one, \`npm run bench -- all\` takes them all, and
\`npm run bench -- report\` writes this page from what they left in \`bench/results/\`. With \`--n\` a bench runs shorter and its result is
not kept. Each starts a real \`regent serve\` with a home of its own, and measures what Regent is compared with in the same run, in turns:
a program that people would take in its stead, or what the machine and Node cost alone. Figures of one machine say little about
another; those beside each other can be compared. Times of a load are as seen by its sender. The figure of times is their median, and
p95 and p99 are the times that 95 and 99 of 100 do not exceed. A new bench is a file in \`bench/\` and its name in \`bench/benches.ts\`.
`

function section(bench: Bench, result: Result | undefined): string {
  const body = result === undefined ? 'Not measured yet.' : `${markdownTable(tableOf(result.figures))}\n\n${provenance(result)}`
  return `## ${bench.name}\n\n${bench.about}\n\n${body}\n`
}

function provenance({ at, command, commit, machine }: Result): string {
  return `\`${command}\` on ${at.slice(0, 10)} at commit ${commit}: ${machineText(machine)}.`
}

function machineText({ cpu, cores, memory_mib, kernel, file_system, node, load }: Machine): string {
  const memory = `${Math.round(memory_mib / 1024)} GiB`
  return `${cores} cores of ${cpu}, ${memory} of memory, ${kernel}, ${file_system}, Node ${node.replace(/^v/, '')}, load before ${load}`
}
