import { createHash } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { FromRegent, SentMessage } from '../contract/link.ts'
import type { Activity } from '../contract/states.ts'
import type { Clock } from '../kernel/clock.ts'
import { RegentError, reasonOf } from '../kernel/errors.ts'
import { hashedUuid, type Ids } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Models } from '../ports/model.ts'
import type { Sample, ToolServers } from '../ports/tool-server.ts'
import { Approvals } from './approvals.ts'
import type { Channel } from './channel.ts'
import { type ChannelAccess, openChannel } from './channel-access.ts'
import { Conditions } from './conditions.ts'
import type { TeamSpec } from './definition.ts'
import { Deltas } from './deltas.ts'
import { Inbox, type WorkNews } from './inbox.ts'
import { Journal } from './journal.ts'
import type { Incoming } from './journal-state.ts'
import { Link } from './link.ts'
import { Orchestrator } from './orchestrator.ts'
import { ToolCalls } from './tool-calls.ts'
import { Toolbox } from './toolbox.ts'
import { usageOf } from './work.ts'

export interface RunnerOptions {
  readonly spec: TeamSpec
  readonly agentId: string
  readonly runId: string
  /** Number of the start that a caller asked for. */
  readonly start: string
  /** Where the journal is kept; null keeps it in memory. */
  readonly stateDir: string | null
  /** Where link.json is; null when nobody but this process talks with the agent. */
  readonly runDir: string | null
  /** Whether a person at this process can answer approvals. */
  readonly terminal: boolean
  readonly models: () => Promise<Models>
  readonly toolServers: () => Promise<ToolServers>
  /** For the children of tool servers. */
  readonly baseEnv: Readonly<Record<string, string>>
  readonly channel: ChannelAccess
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  readonly redact: (text: string) => string
  /** Regent says that this run is no longer the agent's present one. */
  readonly onRefused: (reason: string) => void
}

/** So long nothing is worked on until the agent says that it is idle. */
const IDLE_MS = 50

/** A team agent's inside: everything between its inbox and its answers. */
export class Runner {
  readonly #options: RunnerOptions
  readonly conditions: Conditions
  readonly journal: Journal
  readonly approvals: Approvals
  readonly #inbox: Inbox
  readonly #toolbox: Toolbox
  readonly #deltas: Deltas
  readonly #link: Link | null
  readonly #channel: Channel | null
  readonly #stopping = new AbortController()
  /** Called with pieces of a final answer. */
  onText: ((messageId: string, text: string) => void) | null = null
  #working: Promise<void> | null = null
  #busy = false
  #starting = true
  #limited = false
  #activity: Activity = 'starting'
  #cancelIdle: (() => void) | null = null

  private constructor(options: RunnerOptions, journal: Journal, conditions: Conditions) {
    const { spec, clock, ids, logger, redact } = options
    this.#options = options
    this.journal = journal
    this.conditions = conditions
    setMaxListeners(0, this.#stopping.signal)
    this.approvals = new Approvals({ journal, clock, logger, onChange: () => this.#tellActivity() })
    this.#toolbox = new Toolbox(spec.config.mcp?.servers ?? {}, {
      servers: options.toolServers,
      connect: (config) => ({ baseEnv: options.baseEnv, ...(config.sampling && { sample: this.#sampler(config.sampling.model) }) }),
      conditions,
      clock,
      logger,
      onToolsChanged: (server) => this.#toolsChanged(server),
    })
    const someoneToAsk = (): boolean => options.runDir !== null || options.terminal
    const calls = new ToolCalls({ approvals: this.approvals, ids, clock, logger, someoneToAsk })
    this.#deltas = new Deltas(clock, (id, text) => this.#tellDelta(id, text))
    const orchestrator = new Orchestrator({
      name: spec.name,
      subagents: spec.subagents,
      config: spec.config,
      models: options.models,
      journal,
      toolbox: this.#toolbox,
      calls,
      onText: (work, piece) => this.#deltas.add(work.message.id, piece),
    })
    this.#inbox = new Inbox({
      name: spec.name,
      journal,
      ids,
      clock,
      logger,
      redact,
      answer: async (work) => {
        const answer = await orchestrator.answer(work)
        this.#deltas.end(work.message.id, this.onText === null)
        return answer
      },
      onWork: (news) => this.#onWork(news),
      closeApprovals: (id) => this.approvals.closeFor(id),
    })
    this.#link = options.runDir === null ? null : this.#createLink(options.runDir)
    this.#channel = openChannel(options, { journal, conditions, inbox: this.#inbox, approvals: this.approvals })
    conditions.onChange(() => this.#link?.tell({ type: 'conditions', conditions: conditions.list() }))
  }

  /** Reads the journal and begins to listen; tool servers start meanwhile. */
  static async start(options: RunnerOptions): Promise<Runner> {
    const { clock, logger, redact, spec } = options
    const conditions = new Conditions(clock, redact)
    const onTrouble = (reason: string | null): void =>
      reason === null
        ? conditions.clear('journal', 'disk')
        : conditions.raise('journal', 'disk', `the journal cannot be written (${reason}); work waits`)
    const journal = await Journal.open({ dir: options.stateDir, clock, logger, onTrouble })
    const runner = new Runner(options, journal, conditions)
    for (const key of spec.missingSecrets)
      conditions.raise('secret', key, `the secret '${key}' is not here; the environment's keys are used where there are any`)
    runner.approvals.resume()
    runner.#link?.start()
    if (!options.channel.refused) runner.#channel?.hold(true)
    void runner.#warmUp()
    return runner
  }

  get activity(): Activity {
    return this.#activity
  }

  /** Takes a message in, once for each id; resolves when it stands in the journal. */
  take(message: Incoming): Promise<void> {
    return this.#inbox.take(message)
  }

  /** Resolves when the work on a message has ended. */
  ended(id: string): Promise<void> {
    return this.#inbox.ended(id)
  }

  /** Runs the task once per asked start and waits for its end; goes on with it where an earlier run was cut off. */
  async runInitialTask(content: string): Promise<void> {
    const { agentId, start, spec } = this.#options
    const id = initialId(agentId, start)
    const message = { id, conversation: 'main', sender: spec.name, content, metadata: { initial_task: true } }
    await this.#inbox.take(message, { e: 'initial', id })
    void this.work()
    await this.#inbox.ended(id)
  }

  /** Works on messages until the runner stops. */
  work(): Promise<void> {
    this.#working ??= this.#inbox.run(this.#stopping.signal)
    return this.#working
  }

  /** Whether messages wait or are worked on. */
  get idle(): boolean {
    return this.journal.state.inbox.size === 0
  }

  /** Leaves work where it stands, for the next start; the children of tool servers are gone when it resolves. */
  async stop(): Promise<void> {
    this.#stopping.abort(new RegentError('UNAVAILABLE', 'the agent is stopping'))
    this.#cancelIdle?.()
    const silent = this.#channel?.close()
    this.approvals.close()
    await Promise.all([this.#toolbox.close(), this.#working, silent])
    await this.journal.close()
    this.#link?.close()
  }

  #createLink(runDir: string): Link {
    const { agentId, runId, clock, logger } = this.#options
    return new Link({
      runDir,
      journal: this.journal,
      clock,
      logger,
      hello: () => ({ agent_id: agentId, run_id: runId, activity: this.#activity, conditions: this.conditions.list() }),
      onFrame: (frame) => void this.#onFrame(frame),
    })
  }

  async #onFrame(frame: Extract<FromRegent, { type: 'message' | 'messages' | 'answer' | 'channel' | 'refused' }>): Promise<void> {
    if (frame.type === 'refused') return this.#options.onRefused(frame.reason)
    if (this.#stopping.signal.aborted) return
    if (frame.type === 'channel') return this.#channel?.hold(frame.held, frame.topic)
    if (frame.type === 'messages') for (const message of frame.messages) void this.#takeSent(message)
    if (frame.type === 'messages') return
    if (frame.type === 'message') return this.#takeSent(frame)
    const { approval_id, nonce, confirmed, by, via } = frame
    const answered = await this.approvals.answer(approval_id, confirmed, by, via)
    this.#link?.tell({ type: 'answered', approval_id, nonce, ...answered })
  }

  async #takeSent({ id, conversation, sender, content, metadata }: SentMessage): Promise<void> {
    await this.#inbox.room()
    if (this.#stopping.signal.aborted) return
    this.#link?.accepting(id)
    await this.#inbox.take({ id, conversation, sender, content, metadata })
    this.#link?.accepted(id)
  }

  async #warmUp(): Promise<void> {
    const { spec } = this.#options
    await this.#checkModels()
    const used = new Set(spec.subagents.flatMap((agent) => agent.servers))
    await this.#toolbox.start(used)
    this.#starting = false
    this.#tellActivity()
  }

  /** Names the models that cannot be used, and what stands in for them, before a message needs them. */
  async #checkModels(): Promise<void> {
    const { spec, models, logger } = this.#options
    for (const reference of new Set([spec.config.default_model, ...spec.subagents.map((agent) => agent.model)])) {
      try {
        const { notice } = (await models()).get(reference)
        if (notice !== null) this.conditions.raise('model', reference, notice)
      } catch (error) {
        logger.warn({ model: reference, reason: reasonOf(error) }, 'a model cannot be used')
        this.conditions.raise('model', reference, reasonOf(error))
      }
    }
  }

  #sampler(reference: string): Sample {
    return async (request, signal) => {
      const model = (await this.#options.models()).get(reference)
      const answer = await model.answer({
        purpose: 'sample',
        system: request.system,
        turns: [{ role: 'user', text: request.prompt }],
        tools: [],
        maxOutputTokens: request.maxTokens,
        signal: AbortSignal.any([signal, this.#stopping.signal]),
      })
      await this.journal.append({ e: 'say', body: usageOf(model, answer) })
      return { text: answer.text, model: model.id }
    }
  }

  #toolsChanged(server: string): void {
    const { spec, ids } = this.#options
    const say = { kind: 'say', id: ids.next(), type: 'tool_update', content: { updated_server: server } } as const
    void this.journal.append({ e: 'say', body: { ...say, metadata: {}, author: spec.name, reply_to: null, final: false } })
  }

  #tellDelta(messageId: string, text: string): void {
    this.#link?.tell({ type: 'delta', message_id: messageId, author: this.#options.spec.name, text })
    this.onText?.(messageId, text)
  }

  #onWork(news: WorkNews): void {
    const model = this.#options.spec.config.default_model
    this.#busy = news.what !== 'ended'
    this.#limited = news.what === 'again' && news.limited
    if (news.what === 'again') {
      const seconds = Math.ceil(news.waitMs / 1_000)
      this.conditions.raise(
        'model',
        'calls fail',
        `${news.reason.replace(/[.;\s]+$/, '')}; tried again in ${seconds} s (default model: ${model})`,
      )
    } else if (news.what === 'ended') this.conditions.clear('model', 'calls fail')
    this.#deltas.end(news.id)
    this.#tellActivity()
  }

  #tellActivity(): void {
    const activity = this.#now()
    this.#cancelIdle?.()
    this.#cancelIdle = null
    if (activity === this.#activity) return
    // Between two messages of many it is not idle.
    if (activity === 'idle') this.#cancelIdle = this.#options.clock.after(IDLE_MS, () => this.#become('idle'))
    else this.#become(activity)
  }

  #become(activity: Activity): void {
    this.#activity = activity
    this.#link?.tell({ type: 'activity', activity })
  }

  #now(): Activity {
    if (this.approvals.pending.length > 0) return 'needs_input'
    if (this.#limited) return 'rate_limited'
    if (this.#busy) return 'working'
    return this.#starting ? 'starting' : 'idle'
  }
}

/** The same for every run of one start, so that the task is taken in once. */
function initialId(agentId: string, start: string): string {
  return hashedUuid(createHash('sha256').update(`initial-${agentId}-${start}`).digest('hex'))
}
