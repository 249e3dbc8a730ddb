import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from './bench.ts'
import { type Caller, createCaller } from './http.ts'
import { startProgram } from './programs.ts'

export interface RelayJob {
  readonly agents: number
  /** With it each message is the number of a round, for which the tool of programs/stamp.ts is called. */
  readonly stampFile?: string
}

/** What a message through Regent passes at least: HTTP, a WebSocket, another process and, with stamps, an MCP server over stdio. */
export async function startRelay(lab: Lab, job: RelayJob): Promise<Caller> {
  const { answer } = await startProgram<string>(lab, 'relay.ts', { ...job })
  const caller = createCaller(answer)
  lab.defer(() => caller.close())
  return caller
}

export const stampArgv = (file: string): [string, ...string[]] => [
  process.execPath,
  join(import.meta.dirname, '../programs/stamp.ts'),
  file,
]

/** When the tool was called for this round: ns of `process.hrtime`, the clock that all processes of a machine share. */
export function stampOf(file: string, round: number): bigint {
  const found = new RegExp(`^${round} (\\d+)$`, 'm').exec(readFileSync(file, 'utf8'))?.[1]
  if (found === undefined) throw new Error(`the tool was not called in round ${round}`)
  return BigInt(found)
}
