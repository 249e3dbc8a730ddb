import type { RunSpec, Runtime } from '../../src/ports/runtime.ts'

/** One place where runs live. What runs there when the test ends must be ended by the factory, and each runtime closed. */
export interface RuntimePlace {
  /** A Regent's view of the place; asked again, the next Regent's. */
  open(): Promise<Runtime>
  /** How this shell script runs here, with a fresh run and agent id; `sh`, `sleep`, `env`, `pwd` and `seq` are there. */
  script(text: string, args?: readonly string[], over?: Partial<RunSpec>): RunSpec
}

/** All that an agent printed, or its last lines. */
export async function textOf(runtime: Runtime, agentId: string, tail?: number): Promise<string[]> {
  const lines: string[] = []
  for await (const { text } of runtime.logs(agentId, { follow: false, ...(tail !== undefined && { tail }) })) lines.push(text)
  return lines
}
