import type { Lab } from './bench.ts'
import type { Round } from './figures.ts'
import { runProgram } from './programs.ts'

/** Requests for bench/programs/load.ts to send; `{n}` in path and body becomes a number that no other request of the job has. */
export interface LoadJob {
  readonly url: string
  readonly token?: string
  readonly method: string
  readonly path: string
  readonly body?: string
  readonly connections: number
  readonly requests: number
  /** Any other status ends the load with an error. */
  readonly expected: number
}

/** Sends them from a process of its own, each connection one request after the other; times are from sending to the whole answer. */
export const sendLoad = (lab: Lab, job: LoadJob): Promise<Round> => runProgram<Round>(lab, 'load.ts', { ...job })
