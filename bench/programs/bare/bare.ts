/** One broker through its client library alone, with the guarantees that Regent's adapter gives: confirmed publishes, a durable group, an acknowledgement after each message. */
export interface Bare {
  publish(body: string): Promise<void>
  /** Resolves when the broker has the subscription; `handler` is called for each message, which is acknowledged then. */
  consume(handler: (body: string) => void): Promise<void>
  close(): Promise<void>
}

export type OpenBare = (address: string, name: string) => Promise<Bare>
