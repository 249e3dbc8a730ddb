import type { TakenUp } from '../../core/system/take-up.ts'
import type { Cli } from './cli.ts'

/** Which runs were given back to which agents, one a line. */
export function tellTakenUp(cli: Cli, { agents, left }: TakenUp): void {
  for (const { agent, pid, wasKnown } of agents) {
    const run = pid === null ? 'its last run has ended; its policy decides' : `runs on as pid ${pid}`
    cli.terminal.out(`${agent}  ${wasKnown ? 'was known, and this run of it was not' : 'made anew'}: ${run}`)
  }
  for (const { run, pid, reason } of left)
    cli.note(`run ${run} is left alone: ${reason}${pid === null ? '' : `; end it with: kill ${pid}`}`)
}
