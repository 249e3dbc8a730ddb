import type { Archive } from '../../ports/archive.ts'
import type { Store } from '../../ports/store.ts'
import type { Handlers } from '../handling.ts'

export interface BackupOptions {
  readonly store: Store
  readonly archive: Archive
}

export function backupOperations({ store, archive }: BackupOptions): Handlers<'system.backup'> {
  return {
    async 'system.backup'({ file, logs }) {
      const agents = await store.read.agents.count()
      const bytes = await archive.backup(file, { logs })
      return { file, bytes, agents }
    },
  }
}
