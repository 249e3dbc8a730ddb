/** What this process takes; null where the system does not tell. */
export interface SelfUsage {
  /** Epoch ms. */
  readonly startedAt: number
  readonly memoryBytes: number
  readonly heapBytes: number
  readonly cpuSeconds: number
  readonly openFiles: number | null
  readonly openFilesLimit: number | null
  /** How late timers fired in the last minute or so that somebody asked, in seconds; null for the first who asks. */
  readonly lag: { readonly mean: number; readonly p99: number; readonly max: number } | null
}

/** Regent looking at itself. */
export interface Self {
  /** Never rejects. */
  usage(): Promise<SelfUsage>
  /** CPU time until now, of all threads. */
  cpuSeconds(): number
  close(): Promise<void>
}
