export type Headers = Readonly<Record<string, string>>

/** A message as a connection brought it. */
export interface Delivery {
  readonly headers: Headers
  readonly body: string
  readonly connection: { readonly alive: boolean }
  /** Does nothing once the connection is over. */
  ack(): void
}
