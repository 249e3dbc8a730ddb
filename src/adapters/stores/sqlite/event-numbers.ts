import type { EventRow } from '../../../ports/store.ts'
import type { NodeSqlite } from './node-sqlite.ts'

/**
 * Numbers the events of the one writer, so that what a transaction appended is known without being read back. A number of a
 * transaction that was rolled back is given again; in one with savepoints some may be left out.
 */
export class EventNumbers {
  readonly #writer: NodeSqlite
  /** Of the last commit; read anew after a transaction whose outcome was not told. */
  #last: number | undefined
  #given = 0
  #appended: EventRow[] | undefined

  constructor(writer: NodeSqlite) {
    this.#writer = writer
  }

  begin(isolated: boolean): { readonly next: (table: 'events' | 'messages') => number | undefined; readonly appended?: EventRow[] } {
    const last = this.#last ?? this.#read()
    this.#last = undefined
    this.#given = last
    this.#appended = isolated ? undefined : []
    return {
      next: (table) => (table === 'events' ? ++this.#given : undefined),
      ...(this.#appended && { appended: this.#appended }),
    }
  }

  /** The transaction was committed: what it appended, undefined where some of its work was undone. */
  end(): readonly EventRow[] | undefined {
    this.#last = this.#given
    return this.#appended
  }

  #read(): number {
    const row = this.#writer.raw.prepare("select seq from sqlite_sequence where name = 'events'").get()
    return Number(row?.seq ?? 0)
  }
}
