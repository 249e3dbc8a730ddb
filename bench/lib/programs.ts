import { type ChildProcess, fork, type Serializable } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Lab } from './bench.ts'

const folder = join(import.meta.dirname, '../programs')

/** One of bench/programs, running in a process of its own: it is given a job and answers once. */
export interface Program<Answer> {
  readonly pid: number
  readonly answer: Answer
  end(): Promise<void>
}

export interface ProgramOptions {
  /** Flags for Node, before the program. */
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Starts it, hands it the job (over IPC: tokens are not for argv) and resolves with its answer. It lives on until `end`. */
export async function startProgram<Answer>(
  lab: Lab,
  file: string,
  job: Serializable,
  options: ProgramOptions = {},
): Promise<Program<Answer>> {
  const child = fork(join(folder, file), [], {
    execArgv: [...(options.flags ?? [])],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    ...(options.env && { env: { ...process.env, ...options.env } }),
  })
  const end = (): Promise<void> => endChild(child)
  lab.defer(end)
  child.send(job)
  const answered = once(child, 'message').then(([message]) => message as Answer)
  const died = once(child, 'exit').then(([code]) => {
    throw new Error(`the program ${file} ended with ${code} and gave no answer`)
  })
  died.catch(() => undefined)
  const answer = await Promise.race([answered, died])
  return { pid: child.pid ?? 0, answer, end }
}

/** Runs one of bench/programs to its end and resolves with its answer. */
export async function runProgram<Answer>(lab: Lab, file: string, job: Serializable, options?: ProgramOptions): Promise<Answer> {
  const program = await startProgram<Answer>(lab, file, job, options)
  await program.end()
  return program.answer
}

/** Resolves when it is gone; twice does no harm. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM', graceMs = 10_000): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  child.kill(signal)
  await gone
  clearTimeout(timer)
}
