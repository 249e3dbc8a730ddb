import type { Journal } from '../events/journal.ts'
import type { Crews } from './crews.ts'
import type { Permissions } from './permissions.ts'
import type { WorkerViewing } from './worker-views.ts'
import type { Workers } from './workers.ts'
import type { Working } from './working.ts'

/** What the operations on workers stand on. */
export interface WorkerParts extends Working, WorkerViewing {
  readonly crews: Crews
  readonly workers: Workers
  readonly permissions: Permissions
  readonly journal: Journal
}
