import type { Input, Output, StreamName, ValueName } from '../contract/operations.ts'
import type { Caller } from '../contract/tokens.ts'
import type { Tables } from '../ports/store.ts'

/** What a handler is given besides its input. */
export interface Handling {
  readonly caller: Caller
  readonly signal: AbortSignal
  /** The input as it came, checked but without defaults: for what must be kept unchanged. */
  readonly given: unknown
  /**
   * The one transaction in which a command is accepted: its effect, its events and its key. With a key that was seen
   * before nothing is run: the answer is what `work` gave then. `work` may run twice, so it must only use the tables.
   */
  accept<T>(work: (tables: Tables) => Promise<T>): Promise<T>
}

/** What a stream's handler is given. */
export type Watching = Pick<Handling, 'caller' | 'signal'>

export type Handlers<N extends ValueName = ValueName> = {
  readonly [K in N]: (input: Input<K>, handling: Handling) => Promise<Output<K>>
}
export type Streams<N extends StreamName = StreamName> = {
  readonly [K in N]: (input: Input<K>, handling: Watching) => AsyncIterable<Output<K>>
}
