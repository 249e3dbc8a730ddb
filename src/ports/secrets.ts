/** Keeps secret values apart from everything that is shown, logged or backed up: files of mode 0600 in home. */
export interface Secrets {
  /** Replaces all of an agent's secrets; key to value, keys as in the references of its definition. */
  put(agentId: string, values: Readonly<Record<string, string>>): Promise<void>
  /** Empty where there are none. */
  get(agentId: string): Promise<Readonly<Record<string, string>>>
  remove(agentId: string): Promise<void>
  /** Every value that is kept, for redaction. */
  values(): ReadonlySet<string>
}
