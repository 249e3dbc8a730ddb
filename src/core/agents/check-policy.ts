import type { Policy } from '../../contract/policy.ts'
import { type FieldError, RegentError } from '../../kernel/errors.ts'
import type { Calendar } from '../../ports/calendar.ts'
import type { AgentRow } from '../../ports/store.ts'

const kindsWithRunner: readonly AgentRow['kind'][] = ['team', 'runbook']
export const hasRunner = ({ kind }: Pick<AgentRow, 'kind'>): boolean => kindsWithRunner.includes(kind)

/** What a schema cannot tell: throws INVALID, naming each field. */
export function checkPolicy(kind: AgentRow['kind'], policy: Policy, calendar: Calendar): void {
  const fields = [...scheduleProblems(policy, calendar), ...probeProblems(kind, policy)]
  const [first] = fields
  if (!first) return
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more)` : ''
  throw new RegentError('INVALID', `${first.path}: ${first.message}${more}`, { fields })
}

function scheduleProblems({ schedules = [] }: Policy, calendar: Calendar): FieldError[] {
  return schedules.flatMap(({ cron, timezone }, index) => {
    const message = calendar.problem(cron, timezone)
    return message === undefined ? [] : [{ path: `policy.schedules.${index}.cron`, message }]
  })
}

function probeProblems(kind: AgentRow['kind'], { probes = {} }: Policy): FieldError[] {
  if (hasRunner({ kind })) return []
  return (['liveness', 'readiness'] as const).flatMap((purpose) =>
    probes[purpose]?.type === 'heartbeat'
      ? [{ path: `policy.probes.${purpose}.type`, message: `heartbeat is for kinds with a runner, not for ${kind}: use exec, http or tcp` }]
      : [],
  )
}
