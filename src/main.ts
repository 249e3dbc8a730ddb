import { fileURLToPath } from 'node:url'
import type { CliContext } from './doors/cli/context.ts'
import { verbIndex } from './doors/cli/word.ts'

const { env } = process
const argv = process.argv.slice(2)
const cwd = process.cwd()

const context: CliContext = {
  env,
  cwd,
  launcher: fileURLToPath(new URL('../bin/regent', import.meta.url)),
  version: async () => (await import('./config/version.ts')).version,
  locateHome: async (flags) => (await import('./config/locate.ts')).locateHome(flags, env, cwd),
  async config() {
    const [{ inspectConfig }, { jsonSchema, settings }] = await Promise.all([import('./config/load.ts'), import('./config/schema.ts')])
    return { inspect: (flags) => inspectConfig({ flags, env, cwd }), jsonSchema, settings }
  },
  async mcp(flags, { tools, namespace, api }) {
    const [{ locateHome }, { loadConfig }, { serveMcp }, { version }] = await Promise.all([
      import('./config/locate.ts'),
      import('./config/load.ts'),
      import('./mcp-stdio.ts'),
      import('./config/version.ts'),
    ])
    const { workers } = loadConfig({ flags: only(flags, ['home', 'project']), env, cwd })
    const place = { home: await locateHome(flags, env, cwd), url: flags.url || env.REGENT_URL, token: env.REGENT_TOKEN || undefined }
    await serveMcp({ ...place, launcher: context.launcher, cwd, env, tools, namespace, api: api ?? workers.api, version })
  },
  async offline(flags) {
    const [{ loadConfig }, { offline }] = await Promise.all([import('./config/load.ts'), import('./compose-offline.ts')])
    return offline(loadConfig({ flags, env, cwd }))
  },
}

const only = (flags: Readonly<Record<string, string | undefined>>, names: readonly string[]) =>
  Object.fromEntries(Object.entries(flags).filter(([name]) => names.includes(name)))

const wantsHelp = argv.includes('--help') || argv.includes('-h')
const verb = verbIndex(argv)
// A server that has closed waits for nothing, whatever was under way: the next one takes it up.
if (argv[verb] === 'serve' && !wantsHelp) process.exit(await serve(argv.toSpliced(verb, 1)))
process.exitCode = await command()

async function command(): Promise<number> {
  return (await import('./doors/cli/regent.ts')).runCli(argv, context)
}

/** Becomes the next Regent in the same process, by the launcher, so that what changed on disk takes effect. */
function restart(): void {
  const { launcher } = context
  process.execve?.(launcher, [launcher, ...argv], env)
}

/** Resolves when the server has closed; what is wrong with the configuration is told as the CLI tells it. */
async function serve(args: readonly string[]): Promise<number> {
  try {
    const [{ parseServeFlags }, { loadConfig }] = await Promise.all([import('./config/flags.ts'), import('./config/load.ts')])
    const config = loadConfig({ flags: parseServeFlags(args), env, cwd })
    const next = await (await import('./serve.ts')).serve(config)
    if (next === 'restart') restart()
    return 0
  } catch (error) {
    const { exitCodeOf, failureText } = await import('./doors/cli/failure.ts')
    process.stderr.write(`${failureText(error, (_, text) => text)}\n`)
    return exitCodeOf(error)
  }
}
