// A subscriber whose process ends at the message `poison`, and at the ends of others says so. Arguments: settings, topic, group, as JSON.
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'

const [settings, topic, group] = process.argv.slice(2).map((text) => JSON.parse(text))
const bus = await openBroker({ settings, clock: systemClock, logger: silentLogger })
await bus.subscribe(
  topic,
  async ({ body, attempt }) => {
    process.stdout.write(`got ${body} ${attempt}\n`)
    if (body === 'poison') process.kill(process.pid, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, body === 'slow' ? 20 : 0))
    process.stdout.write(`done ${body}\n`)
  },
  { group },
)
process.stdout.write('subscribed\n')
