/** Regent's own log, as this door reads it. */
export interface MainLog {
  /** Undefined where there is no file. */
  read(): Buffer | undefined
  clear(): void
  /** Calls the listener with each line that is written from now on, until the answer is called. */
  watch(listener: (line: string) => void): () => void
}
