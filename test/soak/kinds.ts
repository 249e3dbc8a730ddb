import { join } from 'node:path'

/** How an agent of the soak behaves. */
export type Kind = 'sleeper' | 'printer' | 'crasher' | 'forker' | 'stubborn' | 'escaper' | 'team'

/** Of each hundred. */
const shares: readonly (readonly [Kind, number])[] = [
  ['sleeper', 35],
  ['printer', 20],
  ['crasher', 10],
  ['forker', 12],
  ['stubborn', 12],
  ['escaper', 11],
]

/** The kinds of `count` agents; the last one is a team on the offline model. */
export function kindsOf(count: number): Kind[] {
  const plan = shares.flatMap(([kind, share]) => Array.from({ length: Math.max(1, Math.round((share * (count - 1)) / 100)) }, () => kind))
  while (plan.length < count - 1) plan.push('sleeper')
  return [...plan.slice(0, count - 1), 'team']
}

const scripts: Record<Exclude<Kind, 'team'>, string> = {
  sleeper: 'exec sleep 100000',
  printer: 'n=0; while :; do n=$((n+1)); echo "line $n of $$"; sleep 0.5; done',
  crasher: 'echo "about to end"; sleep $(( $$ % 4 + 1 )); exit $(( $$ % 3 ))',
  forker: 'sleep 100001 & sleep 100002 & (sleep 100003 & wait) & wait',
  stubborn: 'trap "" TERM HUP INT; while :; do sleep 1; done',
  // A child in a session of its own, and one whose parent is gone.
  escaper: 'setsid sleep 100004 & (setsid sh -c "sleep 100005 & sleep 100006" & ) ; exec sleep 100007',
}

/** What is posted to create it. Each main process notes its pid and its run in `mains`, one file per agent, before anything else. */
export function agentOf(name: string, kind: Kind, mains: string): object {
  if (kind === 'team') return { kind, name, subagents: [], json_config: { default_model: 'offline' } }
  const note = `echo "$$ $REGENT_RUN_ID" >> '${join(mains, '')}'/"$REGENT_AGENT_ID"`
  return {
    kind: 'command',
    name,
    command: ['sh', '-c', `${note}; ${scripts[kind]}`],
    policy: { restart: 'always', startsecs: 0, stop_grace: 1 },
  }
}
