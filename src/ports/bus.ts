/**
 * Carries messages between agents, Regent and others. Handlers must tolerate repeats. What an adapter needs to know of a message that
 * its body does not tell (id, key, headers, attempt) travels in the broker's own properties, so that a body is on the wire exactly as
 * it was given; a message of a foreign client, which has none of these, gets an id made from its place at the broker, the same at
 * each redelivery.
 */
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
  /** For RabbitMQ: an exchange by name, `name` being the routing key; '' is its default exchange, `name` being the queue. */
  readonly exchange?: string
  /** What the exchange is declared as, durable; default topic. */
  readonly exchangeType?: 'direct' | 'topic' | 'fanout'
  /**
   * Reaches who listens at that moment and is kept for nobody, body alone, at most once: Redis pub/sub, which the seeds' scripts speak.
   * Groups, redelivery and dead letters do not apply. Buses without such a thing carry it as any other topic.
   */
  readonly fleeting?: boolean
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
  /**
   * Where a group that the broker does not know yet begins; a known one goes on where it stood. A subscriber without a group begins
   * there where the broker keeps what was read (Redis, Kafka), elsewhere with what is published from now on. Default latest.
   */
  readonly from?: 'latest' | 'earliest'
  /** One subscriber of the group has all the messages, the others stand by and take over when it is gone. */
  readonly exclusive?: boolean
  /** RabbitMQ: the queue of a door's contract, declared just so and bound to `keys` (default: the topic's name) of the topic's exchange. */
  readonly queue?: {
    readonly name: string
    readonly durable: boolean
    readonly exclusive?: boolean
    readonly keys?: readonly string[]
    readonly arguments?: Readonly<Record<string, string | number | boolean>>
  }
  /** Gives up the wait for a broker that is away; once subscribed it has no effect. */
  readonly signal?: AbortSignal
}

export interface Subscription {
  /** Resolves when the handler is idle and no more will come. */
  close(): Promise<void>
}

export interface DeadLetter {
  /** Names it for `requeue` and `drop`. */
  readonly id: string
  readonly message: Incoming
  /** Of which group; null for a subscriber without one. */
  readonly group: string | null
  readonly reason: string
  /** Epoch ms. */
  readonly at: number
}

/** How a bus stands with its broker. */
export interface BusStatus {
  readonly connected: boolean
  /** Epoch ms: since when it is so. */
  readonly since: number
  /** Why not, in words, where it is not. */
  readonly reason: string | null
  /** How often the connection was made anew. */
  readonly reconnects: number
}

/** What waits for one group of subscribers of this client. */
export interface Lag {
  readonly topic: string
  readonly group: string | null
  /** Published and not acknowledged; null where the broker does not tell. */
  readonly waiting: number | null
}

export interface Bus {
  readonly kind: 'memory' | 'redis' | 'kafka' | 'rabbitmq' | 'stomp'
  readonly can: {
    /** A message published while no subscriber of a known group is there waits for it. */
    readonly durable: boolean
    readonly ordered: boolean
    readonly groups: boolean
    /** A group that is new can begin with what was published before it. */
    readonly replays: boolean
    /**
     * What is published to a topic before the messages ahead of it are confirmed arrives behind them; when the connection is lost, what
     * arrived of it is its beginning.
     */
    readonly pipelined: boolean
  }
  /**
   * Resolves when the bus has taken the message over, confirmed by the broker. Throws UNAVAILABLE while the broker is away (after 5 s
   * at most; nothing is kept to be sent later), or TOO_LARGE over 1 MiB, or, on RabbitMQ's exchange '', NOT_FOUND
   * when there is no such queue (whoever waited for the reply is gone). After UNAVAILABLE the message may have arrived all the same: publish it
   * again under the same id.
   */
  publish(topic: Topic, message: Outgoing, signal?: AbortSignal): Promise<void>
  /**
   * Resolves once the broker has the subscription, however long the broker is away; it then outlives lost connections, until it is
   * closed. Rejects when the bus is closed, the signal aborts, or the broker refuses for good (INVALID, FORBIDDEN).
   */
  subscribe(topic: Topic, handler: Handler, options?: SubscribeOptions): Promise<Subscription>
  /** What there is; counts are null where the broker does not tell. Bounded to 1,000. */
  topics(): Promise<readonly { readonly name: string; readonly subscribers: number | null; readonly waiting: number | null }[]>
  /** For each subscription of this client. */
  lag(): Promise<readonly Lag[]>
  /** The newest of them, of one topic (one without an exchange: of that name at any) or of all that this bus buried; `limit` default 100. */
  deadLetters(topic?: Topic, limit?: number): Promise<readonly DeadLetter[]>
  /** Hands a dead letter to its topic once more, for its group where the broker can; false when there is none of this id. */
  requeue(id: string): Promise<boolean>
  /** Forgets a dead letter; false when there is none of this id. */
  drop(id: string): Promise<boolean>
  status(): BusStatus
  /** Called when `connected` changes, until the function that is answered is called. */
  onStatus(listener: (status: BusStatus) => void): () => void
  /** Throws UNAVAILABLE, in words, within 5 s, when the broker cannot be used. */
  check(): Promise<void>
  close(): Promise<void>
}

/**
 * What the id begins with of a message that has none and that the broker does not name for sure: two that are alike may have the same, so
 * it is no proof that the second is a repetition.
 */
export const UNNAMED = 'unnamed-'

/** The most bytes of a body, in UTF-8. */
export const MOST_BODY = 1024 * 1024
