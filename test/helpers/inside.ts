import type { Regent } from './regent.ts'
import { until } from './until.ts'

/** Runs an expression inside a running Regent, by the debugger that Node opens at SIGUSR1; answers its value. */
export async function inside(regent: Regent, expression: string): Promise<unknown> {
  const address = () => /Debugger listening on (ws:\S+)/.exec(regent.log)?.[1]
  if (address() === undefined) process.kill(regent.pid, 'SIGUSR1')
  await until(() => address() !== undefined, 'the debugger of Regent')
  const socket = new WebSocket(address() ?? '')
  try {
    await new Promise((resolve, reject) => {
      socket.onopen = resolve
      socket.onerror = () => reject(new Error(`no debugger at ${address()}`))
    })
    const answer = new Promise<string>((resolve) => {
      socket.onmessage = ({ data }) => resolve(String(data))
    })
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression, returnByValue: true } }))
    const { result } = JSON.parse(await answer) as { result: { result: { value?: unknown }; exceptionDetails?: { text: string } } }
    if (result.exceptionDetails) throw new Error(`inside Regent: ${JSON.stringify(result.exceptionDetails)}`)
    return result.result.value
  } finally {
    socket.close()
  }
}
