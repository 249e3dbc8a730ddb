/** Files of workers: what people may read of an ended turn, and folders that Regent makes for them. */
export interface WorkerFiles {
  /** Writes what a turn printed, `logs/worker-{id}.json` in home, and answers its absolute path. Replaces an earlier turn's. */
  writeOutput(workerId: string, text: string): Promise<string>
  /** Undefined where there is none. */
  readOutput(workerId: string): Promise<string | undefined>
  /** A folder of a worker's own, made where it is missing; absolute. */
  folder(workerId: string): Promise<string>
  /** Whether this folder is there. */
  isFolder(path: string): Promise<boolean>
  /** Removes output and folder; none there is success. */
  remove(workerId: string): Promise<void>
}
