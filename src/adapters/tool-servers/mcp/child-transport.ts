import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'
import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { LineBuffer } from './line-buffer.ts'
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
  /** Takes secrets out of what is logged. */
  readonly scrub: (text: string) => string
  /** Throws where a line is no message. */
  readonly parse: (line: string) => JSONRPCMessage
}

const politeMs = 1_000
const forcedMs = 2_000
const pollMs = 20
const lastWordsMs = 100
const longestMessage = 32 * 1024 * 1024

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
  readonly #lines = new LineBuffer(longestMessage)
  #child: ChildProcessWithoutNullStreams | undefined
  #known: ProcessMark[] = []
  #ending: Promise<void> | undefined
  #told = false
  #reason = 'it was not started'

  constructor(options: ChildOptions) {
    this.#options = options
    this.#tail = new StderrTail((line) => options.logger.debug({ line: options.scrub(line) }, 'an MCP server wrote to stderr'))
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
    child.stdout.on('data', (chunk: Buffer) => this.#read(chunk))
    child.stderr.on('data', (chunk: Buffer) => this.#tail.add(chunk))
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', (error) => this.onerror?.(error))
    child.once('exit', (code, signal) =>
      this.#exited(child, signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`),
    )
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (error) => {
        this.#reason = reasonOf(error)
        reject(error)
      })
    })
  }

  /** Remembers what the child has started so far: the children of a child that dies are not found any more. */
  remember(): void {
    const pid = this.#child?.pid
    if (pid === undefined || this.hasEnded) return
    const living = this.#known.filter(lives)
    const isNew = (mark: ProcessMark) => !living.some(({ pid: other, started }) => other === mark.pid && started === mark.started)
    this.#known = [...living, ...treeOf(pid).filter(isNew)]
  }

  async send(message: JSONRPCMessage): Promise<void> {
    const stdin = this.#child?.stdin
    if (stdin === undefined || !stdin.writable) throw new Error(`the server is gone: ${this.reason}`)
    await new Promise<void>((resolve, reject) => {
      stdin.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** Ends the child politely, then by force; may be called twice. Resolves when it and all it started are gone. */
  close(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async #end(): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined) return
    this.remember()
    child.stdin.end()
    if (!(await this.#allGone(politeMs))) {
      this.#signal('SIGTERM')
      if (!(await this.#allGone(forcedMs))) {
        this.#signal('SIGKILL')
        if (!(await this.#allGone(forcedMs)))
          this.#options.logger.warn({ pid: child.pid }, 'an MCP server does not end, not even by SIGKILL')
      }
    }
    // A stranger that inherited the pipes could hold them open for ever.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.destroy()
    this.#tellClosed()
  }

  #signal(signal: NodeJS.Signals): void {
    this.remember()
    signalAll(this.#known, signal)
    this.#child?.kill(signal)
  }

  async #allGone(withinMs: number): Promise<boolean> {
    const { clock } = this.#options
    for (const until = clock.elapsed() + withinMs; ; ) {
      if (this.hasEnded && !this.#known.some(lives)) return true
      if (clock.elapsed() >= until) return false
      await clock.sleep(pollMs)
    }
  }

  #exited(child: ChildProcessWithoutNullStreams, reason: string): void {
    this.#reason = reason
    // What it printed before its end is still in the pipe: the last words come first.
    const tell = () => {
      cancel()
      this.#giveUp()
    }
    const cancel = this.#options.clock.after(lastWordsMs, tell)
    child.once('close', tell)
  }

  #read(chunk: Buffer): void {
    const lines = this.#lines.add(chunk)
    if (lines === undefined) {
      this.#reason = `it sent a message of more than ${longestMessage} bytes`
      this.#child?.stdout.removeAllListeners('data').resume()
      this.#giveUp()
      return
    }
    for (const line of lines) {
      if (line.trim() === '') continue
      try {
        this.onmessage?.(this.#options.parse(line))
      } catch (error) {
        this.onerror?.(error instanceof Error ? error : new Error(String(error)))
      }
    }
  }

  /** Tells of the end, and ends what is left in the background; whoever calls `close` waits for the same end. */
  #giveUp(): void {
    this.#tellClosed()
    this.close().catch((error) => this.#options.logger.warn({ reason: reasonOf(error) }, 'an MCP server is not gone'))
  }

  #tellClosed(): void {
    if (this.#told) return
    this.#told = true
    this.onclose?.()
  }
}
