import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import type { JSONRPCMessage, ReadBuffer, Transport } from '@modelcontextprotocol/client'
import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { lives, type ProcessMark, signalAll, treeOf } from './process-tree.ts'
import { StderrTail } from './stderr-tail.ts'

export interface ChildOptions {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly logger: Logger
  readonly reader: ReadBuffer
  readonly serialize: (message: JSONRPCMessage) => string
}

const politeMs = 1_000
const forcedMs = 2_000
const pollMs = 20

/**
 * MCP over the stdin and stdout of a child. The child stays in the process group of the one that starts it, so that whoever kills
 * the group kills it too; `close` ends it with everything it started.
 */
export class ChildTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: (message: JSONRPCMessage) => void
  /** With `pid`, how the protocol library knows a local pipe. */
  readonly stderr = null
  readonly #options: ChildOptions
  readonly #tail: StderrTail
  #child: ChildProcessWithoutNullStreams | undefined
  #known: ProcessMark[] = []
  #gone: Promise<void> = Promise.resolve()
  #closing = false
  #reason = 'it was not started'

  constructor(options: ChildOptions) {
    this.#options = options
    this.#tail = new StderrTail((line) => options.logger.debug({ line }, 'an MCP server wrote to stderr'))
  }

  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  get hasEnded(): boolean {
    return this.#child !== undefined && (this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined)
  }

  /** Why it ended, with the last words of its stderr. */
  get reason(): string {
    return this.#tail.text === '' ? this.#reason : `${this.#reason}; it last wrote: ${this.#tail.text}`
  }

  async start(): Promise<void> {
    const { file, args, cwd, env } = this.#options
    const child = spawn(file, args, { cwd, env: { ...env }, stdio: 'pipe', windowsHide: true })
    this.#child = child
    this.#gone = new Promise((resolve) => child.once('close', () => resolve()))
    child.stdout.on('data', (chunk: Buffer) => this.#read(chunk))
    child.stderr.on('data', (chunk: Buffer) => this.#tail.add(chunk))
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', (error) => this.onerror?.(error))
    child.once('exit', (code, signal) => this.#ended(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`))
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
  }

  /** Remembers what the child has started so far: the children of a child that dies are not found any more. */
  remember(): void {
    const pid = this.#child?.pid
    if (pid !== undefined && this.#child?.exitCode === null) this.#known = merge(this.#known, treeOf(pid))
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const stdin = this.#child?.stdin
    if (stdin === undefined || !stdin.writable) throw new Error(`the server is gone: ${this.reason}`)
    await new Promise<void>((resolve, reject) => {
      stdin.write(this.#options.serialize(message), (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Ends the child politely, then by force; may be called twice. Resolves when it and all it started are gone. */
  async close(): Promise<void> {
    this.#closing = true
    const child = this.#child
    if (child?.pid === undefined) return
    this.remember()
    child.stdin.end()
    if (await this.#allGone(politeMs)) return this.#settle(child)
    this.remember()
    signalAll(this.#known, 'SIGTERM')
    if (!(await this.#allGone(forcedMs))) {
      this.remember()
      signalAll(this.#known, 'SIGKILL')
      await this.#allGone(forcedMs)
    }
    return this.#settle(child)
  }

  #settle(child: ChildProcessWithoutNullStreams): Promise<void> {
    // A stranger that inherited the pipes could hold them open for ever.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    return this.#gone
  }

  async #allGone(withinMs: number): Promise<boolean> {
    const { clock } = this.#options
    for (const until = clock.elapsed() + withinMs; ; ) {
      if (!this.#known.some(lives)) return true
      if (clock.elapsed() >= until) return false
      await clock.sleep(pollMs)
    }
  }

  #ended(reason: string): void {
    this.#reason = reason
    const { clock, logger } = this.#options
    let told = false
    // What it printed before its end is still in the pipe: the last words come first.
    const tell = () => {
      if (told) return
      told = true
      cancel()
      if (!this.#closing) this.close().catch((error) => logger.warn({ reason: reasonOf(error) }, 'the rest of an MCP server is not gone'))
      this.onclose?.()
    }
    const cancel = clock.after(100, tell)
    this.#child?.once('close', tell)
  }

  #read(chunk: Buffer): void {
    const { reader } = this.#options
    try {
      reader.append(chunk)
    } catch (error) {
      this.#reason = `it sent a message that is too long: ${reasonOf(error)}`
      void this.close()
      this.onclose?.()
      return
    }
    for (;;) {
      try {
        const message = reader.readMessage()
        if (message === null) return
        this.onmessage?.(message)
      } catch (error) {
        this.onerror?.(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }
}

function merge(known: readonly ProcessMark[], found: readonly ProcessMark[]): ProcessMark[] {
  const living = known.filter(lives)
  return [...living, ...found.filter(({ pid, started }) => !living.some((one) => one.pid === pid && one.started === started))]
}
