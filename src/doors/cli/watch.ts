import type { Client } from '../../client/client.ts'
import type { Cli } from './cli.ts'

/** Shows something again after every event, at most twice a second, and at least every 5 s since uptimes grow. */
export async function watch(cli: Cli, show: (client: Promise<Client>) => Promise<void>): Promise<void> {
  const client = await cli.client()
  let changed = Promise.withResolvers<void>()
  const status = await client.call('system.status', {}, { signal: cli.signal })
  const following = (async () => {
    const stream = client.open('events.stream', {}, { signal: cli.signal, lastEventId: String(status.newest_event) })
    for await (const _ of stream) changed.resolve()
  })()
  following.catch(() => changed.resolve())
  const aborted = new Promise<void>((resolve) => cli.signal.addEventListener('abort', () => resolve(), { once: true }))
  while (!cli.signal.aborted) {
    if (cli.terminal.outIsTerminal) process.stdout.write('\x1b[H\x1b[J')
    await show(Promise.resolve(client))
    await Promise.race([changed.promise, aborted, pause(5000)])
    await Promise.race([pause(500), aborted])
    changed = Promise.withResolvers<void>()
  }
  await following
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref())
