import { RegentError, reasonOf } from '../kernel/errors.ts'
import { randomIds } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import { type Surroundings, surroundings } from './compose.ts'
import { readTeam, type TeamInput } from './definition.ts'
import { Runner } from './runner.ts'
import { Terminal } from './standalone.ts'

export type { TeamInput } from './definition.ts'

const STOP_MS = 1_700

/**
 * A team of agents as a program. Started by Regent it takes its messages from there; run by itself it reads them from the terminal or
 * a pipe. `start` once, `runInitialTask` where there is one, then `serve`, which ends the process when the agent is stopped.
 */
export class Team {
  readonly #input: TeamInput
  #around: Surroundings | null = null
  #runner: Runner | null = null
  #terminal: Terminal | null = null
  #logger: Logger | null = null
  #ending: Promise<never> | null = null

  constructor(input: TeamInput) {
    this.#input = input
  }

  /** Listens for messages and starts the tool servers. A definition that is not right ends the process with 1 and says what is wrong. */
  async start(): Promise<void> {
    process.on('SIGTERM', () => void this.#end(0, 'told to stop (SIGTERM)'))
    process.on('SIGINT', () => void this.#end(0, 'told to stop (SIGINT)'))
    process.on('uncaughtException', (error) => void this.#crash(error))
    process.on('unhandledRejection', (error) => void this.#crash(error))
    try {
      const around = surroundings(this.#input.name)
      const spec = readTeam(this.#input, around.secrets, around.defaultModel)
      const options = around.runnerOptions(spec, (reason) => void this.#refused(reason))
      this.#around = around
      this.#logger = options.logger
      this.#runner = await Runner.start(options)
      if (around.standalone) this.#terminal = this.#openTerminal(this.#runner, around)
      if (around.readable) this.#terminal?.open()
    } catch (error) {
      await this.#crash(error)
    }
  }

  /** Resolves when the task is done; it is done once for each start of the agent, however often the program is restarted. */
  async runInitialTask(content: string): Promise<void> {
    await this.#started().runInitialTask(content)
  }

  /** Works on messages until the agent is stopped, or until the input has ended where it was run by itself. */
  async serve(): Promise<void> {
    const runner = this.#started()
    // Holds the process while there is nothing to do: the link and its timers do not.
    const held = setInterval(() => {}, 2 ** 30)
    if (this.#terminal && this.#around?.readable) await this.#terminal.serve()
    else await runner.work()
    await this.#end(0, 'the input has ended')
    clearInterval(held)
  }

  #started(): Runner {
    if (this.#runner === null) throw new RegentError('ILLEGAL_STATE', 'the team is not started', { hint: 'Call start() first.' })
    return this.#runner
  }

  #openTerminal(runner: Runner, { interactive }: Surroundings): Terminal {
    const { name } = this.#input
    process.stderr.write(
      `${name}: a team of ${this.#input.subagents.length} run by itself, without Regent. Each line is a message; Ctrl-C ends it.\n`,
    )
    return new Terminal({ runner, ids: randomIds, input: process.stdin, output: process.stdout, errors: process.stderr, interactive })
  }

  /** Stops in bounded time and ends the process; a second call waits for the first. */
  #end(code: number, why: string): Promise<never> {
    this.#ending ??= this.#stop(code, why)
    return this.#ending
  }

  async #stop(code: number, why: string): Promise<never> {
    this.#logger?.info({ agent: this.#input.name, code }, `the agent ends: ${why}`)
    const late = setTimeout(() => process.exit(code), STOP_MS)
    this.#terminal?.close()
    try {
      await this.#runner?.stop()
    } catch (error) {
      this.#say(`did not stop cleanly: ${reasonOf(error)}`)
    }
    clearTimeout(late)
    process.exit(code)
  }

  #refused(reason: string): Promise<never> {
    this.#say(`ends, because Regent refuses this run: ${reason}`)
    return this.#end(0, 'refused by Regent')
  }

  async #crash(error: unknown): Promise<never> {
    const hint = error instanceof RegentError && error.hint !== undefined ? ` ${error.hint}` : ''
    this.#say(`${reasonOf(error)}${hint}`)
    if (!(error instanceof RegentError) && error instanceof Error && error.stack) this.#say(error.stack)
    return await this.#end(1, 'an error that nothing else handles')
  }

  #say(text: string): void {
    process.stderr.write(`${this.#input.name}: ${this.#around?.redact(text) ?? text}\n`)
  }
}
