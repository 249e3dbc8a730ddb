export interface BackupOptions {
  /** With what agents printed. */
  readonly logs: boolean
}

/** Copies of what a Regent keeps. */
export interface Archive {
  /** Writes a consistent copy of the home, while it is in use, to a new file; ALREADY_EXISTS where there is one. Answers its size in bytes. */
  backup(file: string, options: BackupOptions): Promise<number>
}
