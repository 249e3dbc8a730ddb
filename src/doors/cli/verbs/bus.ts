import type { Command } from 'commander'
import { tryParse } from '../../../kernel/json.ts'
import type { Cli } from '../cli.ts'
import { cleanLines } from '../output/text.ts'
import { readInput } from '../read-input.ts'

export function configure(command: Command, cli: Cli): void {
  command
    .command('publish')
    .description('publish a message on a topic')
    .argument('<TOPIC>', 'such as agent:news')
    .argument('<MESSAGE>', 'JSON, or text; - reads it from stdin')
    .option('--key <KEY>', 'key of the message, where the bus knows keys')
    .option('--json', 'print what was published as JSON')
    .action(async (topic: string, text: string, { key, json }: { key?: string; json?: boolean }) => {
      const given = text === '-' ? await readInput('-', cli.context.cwd) : text
      const message = tryParse(given) ?? given
      const published = await (await cli.client()).call('bus.publish', { topic, message, ...(key ? { key } : {}) }, { signal: cli.signal })
      cli.terminal.out(json ? JSON.stringify(published) : `published on ${published.topic} (${published.id})`)
      cli.next(`regent bus tail ${topic}`)
    })
  command
    .command('tail')
    .description('follow a topic until Ctrl-C')
    .argument('<TOPIC>', 'such as agent_news')
    .option('--json', 'one JSON object a line, with id and topic')
    .action(async (topic: string, { json }: { json?: boolean }) => {
      const { terminal, signal } = cli
      for await (const message of (await cli.client()).open('bus.tail', { topic }, { signal }))
        terminal.out(json ? JSON.stringify(message) : terminal.outIsTerminal ? cleanLines(message.body) : message.body)
    })
}
