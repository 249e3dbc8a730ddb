import { constants } from 'node:os'
import type { Output } from '../../contract/operations.ts'
import { operations } from '../../contract/operations.ts'
import { RegentError } from '../../kernel/errors.ts'
import { Fault, faultOf, faults } from './faults.ts'
import { type Context, method } from './method.ts'
import { processInfo, runningStates, signallableStates } from './process-info.ts'
import {
  type AgentProgram,
  agentPrograms,
  groupOf,
  isAgent,
  type Program,
  programOf,
  regentProgram,
  specOf,
  splitSpec,
} from './programs.ts'

/** Programs: look, start, stop, signal. */
export const lifeMethods = {
  getProcessInfo: method('What is known of one program', 'struct', ['string'], async (context, name) =>
    processInfo(programOf(await visible(context), name), context.about, context.now()),
  ),
  getAllProcessInfo: method('What is known of every program', 'array', [], async (context) =>
    sorted([...(await visible(context)), regentProgram]).map((program) => processInfo(program, context.about, context.now())),
  ),
  startProcess: method('Start a program', 'boolean', ['string', 'boolean?'], async (context, name, wait = true) =>
    oneOrGroup(context, name, (program) => start(context, program, wait)),
  ),
  startProcessGroup: method('Start the programs of a group', 'array', ['string', 'boolean?'], async (context, name, wait = true) =>
    each(context, groupOf(await visible(context), name).filter(isStopped), (program) => start(context, program, wait)),
  ),
  startAllProcesses: method('Start every program that does not run', 'array', ['boolean?'], async (context, wait = true) =>
    each(context, (await visible(context)).filter(isStopped), (program) => start(context, program, wait)),
  ),
  stopProcess: method('Stop a program', 'boolean', ['string', 'boolean?'], async (context, name, wait = true) =>
    oneOrGroup(context, name, (program) => stop(context, program, wait)),
  ),
  stopProcessGroup: method('Stop the programs of a group', 'array', ['string', 'boolean?'], async (context, name, wait = true) =>
    stopTogether(context, groupOf(await visible(context), name), wait),
  ),
  stopAllProcesses: method('Stop every program that runs, Regent itself not', 'array', ['boolean?'], async (context, wait = true) =>
    stopTogether(context, await visible(context), wait),
  ),
  signalProcess: method("Send a signal to a program's main process", 'boolean', ['string', 'string'], async (context, name, word) =>
    oneOrGroup(context, name, (program) => signal(context, program, word)),
  ),
  signalProcessGroup: method('Send a signal to the programs of a group', 'array', ['string', 'string'], async (context, name, word) =>
    each(context, groupOf(await visible(context), name).filter(isSignallable), (program) => signal(context, program, word)),
  ),
  signalAllProcesses: method('Send a signal to every program, Regent itself not', 'array', ['string'], async (context, word) =>
    each(context, (await visible(context)).filter(isSignallable), (program) => signal(context, program, word)),
  ),
  sendProcessStdin: method('Agents have no standard input', 'boolean', ['string', 'string'], async (context, name) => {
    const program = programOf(await visible(context), name)
    throw new Fault('NO_FILE', `${specOf(program)} has no standard input: say something to an agent with \`regent send\``)
  }),
}

/** The agents that are not taken out of the list. */
export const visible = async ({ ask, roster }: Context): Promise<AgentProgram[]> => roster.visible(await agentPrograms(ask))

const sorted = (programs: readonly Program[]): Program[] => programs.toSorted((one, other) => (one.group < other.group ? -1 : 1))

/** Also what is on its way to its end, or cannot be seen: a stop waits for it. */
export const isRunningNow = ({ agent }: Program): boolean =>
  agent !== null && (runningStates.includes(agent.state) || agent.state === 'STOPPING' || agent.state === 'UNKNOWN')
const isStopped = ({ agent }: Program): boolean => agent !== null && !runningStates.includes(agent.state)
const isSignallable = ({ agent }: Program): boolean => agent !== null && signallableStates.includes(agent.state)

async function oneOrGroup(context: Context, spec: string, act: (program: Program) => Promise<void>) {
  const programs = await visible(context)
  const { group, process } = splitSpec(spec)
  if (process === undefined) return each(context, groupOf(programs, group).filter(isAgent), act)
  await act(programOf(programs, spec))
  return true
}

/** Does it for all of them at once and answers how each went. */
export async function each(context: Context, programs: readonly Program[], act: (program: Program) => Promise<void>) {
  return Promise.all(
    programs.map(async (program) => {
      const { name, group } = program
      try {
        await act(program)
        return { name, group, status: faults.SUCCESS as number, description: 'OK' }
      } catch (error) {
        const { faultCode, message } = faultOf(error, context.closing())
        return { name, group, status: faultCode, description: message }
      }
    }),
  )
}

/** Answers once it runs, if that is waited for. supervisorctl knows few faults of a start, so the others are put into its words. */
export async function start(context: Context, program: Program, wait: boolean): Promise<void> {
  if (!isAgent(program)) return context.self.start(context.answered)
  if (runningStates.includes(program.agent.state)) throw new Fault('ALREADY_STARTED', specOf(program))
  try {
    await context.ask('agents.start', { agent: program.agent.id, wait })
  } catch (error) {
    const fault = faultOf(error, context.closing())
    context.logger.warn({ program: specOf(program), reason: fault.message }, 'supervisorctl could not start a program')
    const told: readonly number[] = [faults.BAD_NAME, faults.NO_FILE, faults.SPAWN_ERROR, faults.SHUTDOWN_STATE]
    throw told.includes(fault.faultCode) ? fault : new Fault('ABNORMAL_TERMINATION', fault.message)
  }
}

/** Answers once nothing of it is left, if that is waited for. */
async function stop({ ask, self }: Context, program: Program, wait: boolean): Promise<void> {
  if (!isAgent(program)) return self.stop()
  if (!isRunningNow(program)) throw new Fault('NOT_RUNNING', specOf(program))
  refuseSurvivors(program, (await ask('agents.stop', { agent: program.agent.id, wait })) as Output<'agents.stop'>)
}

/** In one go, so that who depends on another is stopped before it. */
async function stopTogether(context: Context, programs: readonly Program[], wait: boolean) {
  const running = programs.filter(isAgent).filter(isRunningNow)
  const agents = running.map(({ agent }) => agent.id)
  const asked = agents.length === 0 ? undefined : (context.ask('agents.stop_all', { agents, wait }) as Promise<Output<'agents.stop_all'>>)
  return each(context, running, async (program) =>
    refuseSurvivors(
      program,
      (await asked)?.agents.find(({ id }) => id === program.agent?.id),
    ),
  )
}

function refuseSurvivors(program: Program, outcome: { readonly survivors: readonly number[] } | undefined): void {
  const survivors = outcome?.survivors ?? []
  if (survivors.length > 0) throw new Fault('FAILED', `${specOf(program)}: still alive: pid ${survivors.join(', ')}`)
}

async function signal({ ask }: Context, program: Program, word: string): Promise<void> {
  const name = signalOf(word)
  if (!isAgent(program))
    throw new Fault('FAILED', `${specOf(program)}: Regent itself takes stop, restart and shutdown, no signals from here`)
  if (!isSignallable(program)) throw new Fault('NOT_RUNNING', specOf(program))
  try {
    const { sent } = (await ask('agents.signal', { agent: program.agent.id, signal: name })) as Output<'agents.signal'>
    if (sent) return
  } catch (error) {
    if (!(error instanceof RegentError) || error.code !== 'ILLEGAL_STATE') throw error
  }
  throw new Fault('NOT_RUNNING', specOf(program))
}

const known: readonly string[] = operations['agents.signal'].input.shape.signal.options

/** `HUP`, `SIGHUP` or `1`, without SIG. */
function signalOf(word: string): string {
  const text = word.trim().toUpperCase()
  const number = /^\d{1,3}$/.test(text) ? Number(text) : undefined
  const named = number === undefined ? text : Object.entries(constants.signals).find(([, value]) => value === number)?.[0]
  const name = named?.replace(/^SIG/, '')
  if (name === undefined || !known.includes(name)) throw new Fault('BAD_SIGNAL', word)
  return name
}
