import type { EventRow } from '../../../ports/store.ts'
import type { NodeSqlite } from './node-sqlite.ts'

interface Numbers {
  events: number
  messages: number
}

/**
 * Numbers the events and messages of the one writer, so that what a transaction wrote is known without being read back. A number of a
 * transaction that was rolled back is given again; in one with savepoints, and for a message whose id was taken, some may be left out.
 */
export class RowNumbers {
  readonly #writer: NodeSqlite
  /** Of the last commit; read anew after a transaction whose outcome was not told. */
  #last: Numbers | undefined
  #given: Numbers = { events: 0, messages: 0 }
  #appended: EventRow[] | undefined

  constructor(writer: NodeSqlite) {
    this.#writer = writer
  }

  begin(isolated: boolean): { readonly next: (table: keyof Numbers) => number; readonly appended?: EventRow[] } {
    const given = this.#last ?? { events: this.#read('events'), messages: this.#read('messages') }
    this.#last = undefined
    this.#given = given
    this.#appended = isolated ? undefined : []
    return { next: (table) => ++given[table], ...(this.#appended && { appended: this.#appended }) }
  }

  /** The transaction was committed: what it appended, undefined where some of its work was undone. */
  end(): readonly EventRow[] | undefined {
    this.#last = this.#given
    return this.#appended
  }

  #read(table: keyof Numbers): number {
    const row = this.#writer.raw.prepare('select seq from sqlite_sequence where name = ?').get(table)
    return Number(row?.seq ?? 0)
  }
}
