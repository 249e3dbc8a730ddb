import { reasonOf } from '../../kernel/errors.ts'
import type { Secrets } from '../../ports/secrets.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import type { Journal } from '../events/journal.ts'
import type { Handlers, Streams } from '../handling.ts'
import type { RunTokens } from '../identity/run-tokens.ts'
import { Crews, crewOf } from './crews.ts'
import { outputOperations, outputStreams } from './output-operations.ts'
import { Permissions } from './permissions.ts'
import { raceOperations } from './race-operations.ts'
import { Races } from './races.ts'
import { waitOperations } from './wait-operations.ts'
import { forgetWorker, workerOperations } from './worker-operations.ts'
import type { WorkerParts } from './worker-parts.ts'
import { WorkerSecrets } from './worker-secrets.ts'
import { Workers } from './workers.ts'
import type { Working } from './working.ts'

export interface RoomOptions extends Omit<Working, 'workerSecrets'> {
  readonly secrets: Secrets
  readonly homeKey: Buffer
  readonly journal: Journal
  readonly runTokens: RunTokens
}

/** Everything about workers and races. */
export interface WorkersRoom extends WorkerParts {
  readonly races: Races
  /** Whether any is queued, runs, or waits for its provider. */
  readonly active: boolean
  recover(): Promise<{ adopted: number }>
  /** Ended and claimed ones go after their time. */
  forgetOld(): Promise<void>
  close(): void
}

const FORGET_AT_ONCE = 200

export function workersRoom(given: RoomOptions): WorkersRoom {
  const options = { ...given, workerSecrets: new WorkerSecrets(given) }
  const crews = new Crews(options.clock, options.ids)
  const permissions: Permissions = new Permissions({
    ...options,
    workerOf: (runId) => workers.byRun(runId),
    changed: (row) => crews.wake(crewOf(row)),
  })
  const ended = (row: WorkerRow) => {
    permissions.ended(row)
    races.changed(row)
  }
  const workers: Workers = new Workers({ ...options, crews, takenUp: (row) => permissions.takeUp(row), ended })
  const parts: WorkerParts = { ...options, crews, workers, permissions, whyQueued: (row) => workers.whyQueued(row) }
  const races: Races = new Races(parts)
  return {
    ...parts,
    races,
    get active() {
      return workers.open > 0
    },
    async recover() {
      const { adopted, races: touched } = await workers.recover()
      await races.recover(touched)
      return { adopted }
    },
    async forgetOld() {
      const { keptMs } = options.workerLimits
      if (keptMs === null) return
      for (const id of await options.store.read.workers.old(options.clock.now() - keptMs, FORGET_AT_ONCE))
        await forgetWorker(parts, id, 'regent').catch((error: unknown) =>
          options.logger.warn({ worker: id, reason: reasonOf(error) }, 'an old worker could not be forgotten'),
        )
    },
    close() {
      races.close()
      workers.close()
      permissions.close()
      crews.close()
    },
  }
}

type Names = Extract<keyof Handlers, `workers.${string}` | `races.${string}`>

export function workerHandlers(room: WorkersRoom): Handlers<Names> {
  return { ...workerOperations(room), ...waitOperations(room), ...outputOperations(room), ...raceOperations(room) }
}

export const workerStreams = (room: WorkersRoom): Streams<'workers.follow'> => outputStreams(room)
