import type { Command } from 'commander'
import type { Cli } from '../cli.ts'

/** Whose workers a command is about. */
export interface CrewOptions {
  readonly namespace?: string
  readonly allNamespaces?: boolean
}

/** `cli:` and the folder, so that a terminal never takes what an MCP client of the same folder waits for. */
export const namespaceOf = (cli: Cli, { namespace }: CrewOptions): string => namespace ?? `cli:${cli.context.cwd}`

export const withNamespace = (command: Command): Command =>
  command.option('--namespace <NAME>', "among which workers; default this folder's, cli:DIR")

export const withNamespaces = (command: Command): Command =>
  withNamespace(command).option('-A, --all-namespaces', 'of all folders and clients')

/** The filter of a list. */
export const crewFilter = (cli: Cli, options: CrewOptions): { namespace?: string } =>
  options.allNamespaces ? {} : { namespace: namespaceOf(cli, options) }
