import type { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { configureOutput } from '../workers/output.ts'
import { configureRemove } from '../workers/remove.ts'
import { configureRun } from '../workers/run.ts'
import { configureShow } from '../workers/show.ts'
import { configure as configureList } from './workers.ts'

export function configure(command: Command, cli: Cli): void {
  configureRun(command.command('run').description('give a task to a coding agent'), cli)
  configureList(command.command('ls').alias('list').description('list workers'), cli)
  configureShow(command.command('show').description('tell all about workers'), cli)
  configureOutput(command.command('output').description('what a worker printed'), cli)
  configureRemove(command.command('rm').alias('delete').description('forget workers that have ended'), cli)
}
