import { describe } from 'vitest'
import type { Store } from '../../src/ports/store.ts'
import { storeRowsConformance } from './store-rows.ts'
import { storeTalkConformance } from './store-talk.ts'
import { storeTransactionsConformance } from './store-transactions.ts'
import { storeWorkersConformance } from './store-workers.ts'

/** Opens a store over an empty database and closes it when the test ends; called once or more in each test. */
export type OpenStore = () => Promise<Store>

/** What every store must do. */
export function storeConformance(name: string, open: OpenStore): void {
  describe(`${name} as a store`, () => {
    storeRowsConformance(open)
    storeTalkConformance(open)
    storeTransactionsConformance(open)
    storeWorkersConformance(open)
  })
}
