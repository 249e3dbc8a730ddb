import { once } from 'node:events'

/** For bench/programs: the job that was given. The program ends with the bench, whatever becomes of it. */
export async function takeJob<Job>(): Promise<Job> {
  process.once('disconnect', () => process.exit())
  const [job] = await once(process, 'message')
  return job as Job
}

export function answer(value: unknown): void {
  process.send?.(value)
}
