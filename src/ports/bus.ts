/** Carries messages between agents, Regent and others. Handlers must tolerate repeats. */
export interface Outgoing {
  readonly id: string
  readonly body: string
  readonly contentType?: string
  /** Messages of one key stay in order. */
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly replyTo?: string
  readonly correlationId?: string
}

export interface Topic {
  readonly name: string
  /** For brokers that have them. */
  readonly exchange?: string
}

export interface Incoming extends Outgoing {
  readonly topic: Topic
  /** From 1; grows with each redelivery. */
  readonly attempt: number
}

/** Resolves to acknowledge; throws to have the message again, after a pause, and dead-lettered after `maxAttempts`. */
export type Handler = (message: Incoming, signal: AbortSignal) => Promise<void>

export interface SubscribeOptions {
  /** Subscribers of one group share its messages; without one each gets all that is published from now on. */
  readonly group?: string
  /** How many are handled at once; order within a key is kept only at 1. Default 1. */
  readonly concurrency?: number
  /** Default 5. */
  readonly maxAttempts?: number
}

export interface Subscription {
  /** Resolves when the handler is idle and no more will come. */
  close(): Promise<void>
}

export interface DeadLetter {
  readonly message: Incoming
  readonly reason: string
  readonly at: number
}

export interface Bus {
  readonly kind: 'memory' | 'redis' | 'kafka' | 'rabbitmq' | 'stomp'
  readonly can: {
    /** A message published while no subscriber of a known group is there waits for it. */
    readonly durable: boolean
    readonly ordered: boolean
    readonly groups: boolean
  }
  /** Resolves when the bus has taken the message over. Throws UNAVAILABLE, or TOO_LARGE over 1 MiB. */
  publish(topic: Topic, message: Outgoing, signal?: AbortSignal): Promise<void>
  subscribe(topic: Topic, handler: Handler, options?: SubscribeOptions): Promise<Subscription>
  topics(): Promise<readonly { readonly name: string; readonly subscribers: number; readonly waiting: number }[]>
  deadLetters(topic: Topic): Promise<readonly DeadLetter[]>
  check(): Promise<void>
  close(): Promise<void>
}
