import { createInterface } from 'node:readline'

/** Lines of a person, or of a pipe. The newest question gets the next line; an older one is asked again after it. */
export interface Lines {
  /** Undefined at the end of the input, and when the signal aborts. */
  next(question: string, signal?: AbortSignal): Promise<string | undefined>
  /** Prints without breaking the question that stands on the screen. */
  write(text: string): void
  /** Ctrl-C on a terminal; until there is a listener it ends the input. */
  onInterrupt(listener: () => void): void
  readonly isTerminal: boolean
  close(): void
}

interface Waiter {
  readonly question: string
  readonly give: (line: string | undefined) => void
}

export function createLines(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Lines {
  const isTerminal = input.isTTY === true && output.isTTY === true
  const reader = createInterface({ input, output: isTerminal ? output : undefined, terminal: isTerminal })
  const unread: string[] = []
  const waiters: Waiter[] = []
  let isOver = false
  let interrupted = () => reader.close()
  reader.on('SIGINT', () => interrupted())
  const ask = () => {
    const waiter = waiters.at(-1)
    if (!waiter || !isTerminal) return
    reader.setPrompt(waiter.question)
    reader.prompt()
  }
  const settle = (line: string | undefined) => {
    const waiter = waiters.pop()
    if (waiter) waiter.give(line)
    else if (line !== undefined) unread.push(line)
    if (unread.length > 1000) reader.pause()
    ask()
  }
  reader.on('line', settle)
  reader.on('close', () => {
    isOver = true
    while (waiters.length > 0) waiters.pop()?.give(undefined)
  })
  return {
    isTerminal,
    next(question, signal) {
      const line = unread.shift()
      if (line !== undefined || isOver || signal?.aborted) return Promise.resolve(line)
      const waiting = waitIn(waiters, question, signal, () => {
        if (isTerminal) output.write('\r\x1b[K')
        ask()
      })
      reader.resume()
      ask()
      return waiting
    },
    write(text) {
      const isAsking = isTerminal && waiters.length > 0
      output.write(isAsking ? `\r\x1b[K${text}` : text)
      if (isAsking) reader.prompt(true)
    },
    onInterrupt(listener) {
      interrupted = listener
    },
    close: () => reader.close(),
  }
}

/** Resolves with the line that is given to it, or with nothing when the signal withdraws the question. */
function waitIn(waiters: Waiter[], question: string, signal: AbortSignal | undefined, withdrawn: () => void): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const waiter: Waiter = {
    question,
    give(given) {
      signal?.removeEventListener('abort', withdraw)
      resolve(given)
    },
  }
  const withdraw = () => {
    waiters.splice(waiters.indexOf(waiter), 1)
    resolve(undefined)
    withdrawn()
  }
  waiters.push(waiter)
  signal?.addEventListener('abort', withdraw, { once: true })
  return promise
}
