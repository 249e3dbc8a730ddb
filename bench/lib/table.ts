import { type Figure, meetsGoal } from './result.ts'
import type { Summary } from './stats.ts'

/** Figures as rows of words; columns that would be empty are left out. The first column is text, the others are numbers. */
export function tableOf(figures: readonly Figure[]): readonly string[][] {
  const rows = figures.map((figure) => columns.map(({ cell }) => cell(figure)))
  const used = columns.map((_, index) => index === 0 || rows.some((row) => row[index] !== ''))
  return [columns.map(({ title }) => title), ...rows].map((row) => row.filter((_, index) => used[index]))
}

interface Column {
  readonly title: string
  readonly cell: (figure: Figure) => string
}

const time =
  (key: keyof Summary) =>
  ({ times }: Figure): string =>
    times === undefined ? '' : shown(times[key])

const columns: readonly Column[] = [
  { title: 'measured', cell: ({ what }) => what },
  { title: 'figure', cell: ({ value, unit, missing }) => (value === null ? (missing ?? 'missing') : `${shown(value)} ${unit}`) },
  { title: 'goal', cell: goalOf },
  { title: 'shared pages counted once', cell: ({ proportional }) => (proportional === undefined ? '' : `${shown(proportional)} MiB`) },
  { title: 'p50 ms', cell: (figure) => (figure.unit === 'ms' ? '' : time('median')(figure)) },
  { title: 'p95 ms', cell: time('p95') },
  { title: 'p99 ms', cell: time('p99') },
  { title: 'n', cell: ({ times }) => (times === undefined ? '' : grouped(times.n)) },
]

function goalOf(figure: Figure): string {
  if (figure.goal === undefined) return ''
  const met = meetsGoal(figure)
  const word = met === undefined ? '' : met ? ', met' : ', missed'
  return `${figure.unit === '/s' ? '≥' : '≤'} ${grouped(figure.goal)}${word}`
}

/** Three digits are enough to read; small ones keep their decimals. */
const shown = (value: number): string => (value >= 100 ? grouped(Math.round(value)) : String(Number(value.toPrecision(3))))

const grouped = (value: number): string => value.toLocaleString('en')

/** For a terminal: columns below each other. */
export function plainTable(rows: readonly (readonly string[])[]): string {
  const widths = widthsOf(rows)
  const pad = (cell: string, index: number): string => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0))
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}

export function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const marks = `|${head.map((_, index) => (index === 0 ? '---' : '---:')).join('|')}|`
  return [line(head), marks, ...rows.map(line)].join('\n')
}

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  return (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)))
}
