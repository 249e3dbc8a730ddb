import type { Colour, Paint } from './terminal.ts'
import { clean, columnsOf, cut } from './text.ts'

export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string
  readonly colour?: (row: Row) => Colour | undefined
  readonly align?: 'right'
  /** May be cut down to so many columns when the terminal is narrow. */
  readonly least?: number
  /** The highest goes first when even that is not enough; columns without it stay. */
  readonly dropAt?: number
}

const GAP = 2

/** The lines of a table, header first. Texts are measured and cut before they are coloured. */
export function layout<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width: number, paint: Paint): string[] {
  const shown = adapt(
    columns.map((column) => {
      const cells = rows.map((row) => clean(column.value(row)))
      return { column, cells, width: Math.max(column.title.length, ...cells.map(columnsOf)) }
    }),
    width,
  )
  const line = (texts: readonly string[], colours: readonly (Colour | undefined)[]) =>
    shown
      .map(({ column, width: room }, at) => {
        const text = cut(texts[at] ?? '', room)
        const gap = ' '.repeat(Math.max(0, room - columnsOf(text)))
        const colour = colours[at]
        const painted = colour === undefined || text === '' ? text : paint(colour, text)
        if (column.align === 'right') return gap + painted
        return at === shown.length - 1 ? painted : painted + gap
      })
      .join(' '.repeat(GAP))
      .trimEnd()
  const header = line(
    shown.map(({ column }) => column.title),
    shown.map(() => 'bold'),
  )
  const body = rows.map((row, index) =>
    line(
      shown.map(({ cells }) => cells[index] ?? ''),
      shown.map(({ column }) => column.colour?.(row)),
    ),
  )
  return [header, ...body]
}

interface Measured<Row> {
  readonly column: Column<Row>
  readonly cells: readonly string[]
  width: number
}

function adapt<Row>(measured: Measured<Row>[], width: number): Measured<Row>[] {
  const total = () => kept.reduce((sum, { width: one }) => sum + one + GAP, -GAP)
  let kept = measured.filter(({ column, cells }) => column.dropAt === undefined || cells.some((cell) => cell !== '' && cell !== '-'))
  for (;;) {
    for (const one of [...kept].reverse()) {
      const over = total() - width
      const least = Math.max(one.column.least ?? one.width, one.column.title.length)
      if (over > 0) one.width = Math.max(Math.min(least, one.width), one.width - over)
    }
    const droppable = kept.filter(({ column }) => column.dropAt !== undefined)
    if (total() <= width || droppable.length === 0) return kept
    const next = droppable.reduce((most, one) => ((one.column.dropAt ?? 0) > (most.column.dropAt ?? 0) ? one : most))
    kept = kept.filter((one) => one !== next)
    for (const one of kept) one.width = Math.max(one.column.title.length, ...one.cells.map(columnsOf))
  }
}
