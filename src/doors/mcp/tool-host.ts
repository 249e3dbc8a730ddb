import type { Output, StreamName, ValueName } from '../../contract/operations.ts'
import type { Settling } from './settling.ts'

/** What MCP tools stand on: the operations, for one caller, in this process or over HTTP; and what they take for granted of their client. */
export interface ToolHost {
  call<N extends ValueName>(name: N, input: unknown, options: { readonly signal: AbortSignal; readonly key?: string }): Promise<Output<N>>
  open<N extends StreamName>(name: N, input: unknown, signal: AbortSignal): AsyncIterable<Output<N>>
  readonly namespace: string
  /** What a new worker gets that says nothing else: the client's folder and variables, where it is on this machine. */
  readonly caller: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> }
  /** `readme`: one winner for each `wait`, and an error when time is over; `state`: the state of all. */
  readonly api: 'readme' | 'state'
  readonly settling: Settling
  /** Called once with whether the answer to this request has left for the client; false when it was cancelled, or the client is gone. */
  afterAnswer(requestId: string | number, settle: (flushed: boolean) => void): void
}
