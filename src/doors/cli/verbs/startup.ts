import { homedir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { install, uninstall } from '../startup/install.ts'
import { launchdPlist } from '../startup/launchd.ts'
import type { Service, ServiceKind } from '../startup/service.ts'
import { systemdUnit } from '../startup/systemd.ts'

interface Options {
  user?: boolean
  system?: boolean
  print?: boolean
  remove?: boolean
}

export function configure(command: Command, cli: Cli): void {
  command
    .addOption(new Option('--system', 'for the whole machine; default for root').conflicts('user'))
    .option('--user', 'for this user; default for everybody else')
    .addOption(new Option('--print', 'print the file and write nothing').conflicts('remove'))
    .option('--remove', 'take the file away again')
    .addHelpText(
      'after',
      '\nWrites a unit of systemd, or a property list of launchd on macOS, for this Regent, --home and --project, and tells how to enable it.',
    )
    .action(async ({ user = false, system = false, print = false, remove = false }: Options) => {
      const isSystem = system || (!user && process.getuid?.() === 0)
      const service = await serviceOf(cli, isSystem)
      const kind = kindOf(cli, service)
      if (print) return cli.terminal.out(kind.text.trimEnd())
      if (remove) return takeAway(cli, kind)
      const outcome = await install(kind, service.home)
      cli.terminal.out(`${kind.file}  ${outcome}`)
      for (const line of kind.enable) cli.terminal.out(`  ${line}`)
      for (const note of [...kind.notes, ...settingsLeftOut(cli)]) cli.note(note)
    })
}

async function takeAway(cli: Cli, kind: ServiceKind): Promise<void> {
  const wasThere = await uninstall(kind)
  cli.terminal.out(`${kind.file}  ${wasThere ? 'removed' : 'was not there'}`)
  if (!wasThere) return
  for (const line of kind.disable) cli.terminal.out(`  ${line}`)
  cli.note('that ends Regent; agents live on until they are stopped')
}

async function serviceOf(cli: Cli, isSystem: boolean): Promise<Service> {
  const { env, cwd, launcher } = cli.context
  const flags = cli.flags()
  const own = dirname(process.execPath)
  const path = env.PATH || '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  return {
    isSystem,
    launcher,
    home: await cli.context.locateHome(flags),
    project: resolve(cwd, flags.project || env.REGENT_PROJECT || '.'),
    path: path.split(delimiter).includes(own) ? path : `${path}${delimiter}${own}`,
    userHome: env.HOME || homedir(),
  }
}

function kindOf(cli: Cli, service: Service): ServiceKind {
  if (process.platform === 'darwin') return launchdPlist(service)
  if (process.platform === 'linux') return systemdUnit(service, cli.context.env.XDG_CONFIG_HOME || join(service.userHome, '.config'))
  throw new RegentError('UNAVAILABLE', `Regent knows no way to start services on ${process.platform}`)
}

/** A service has none of the variables of this shell. */
function settingsLeftOut(cli: Cli): string[] {
  const names = Object.keys(cli.context.env).filter((name) => /^REGENT_(?!HOME$|PROJECT$|TOKEN$|URL$)/.test(name))
  return names.length === 0 ? [] : [`not taken along: ${names.join(', ')}; put what they set into regent.toml of the project`]
}
