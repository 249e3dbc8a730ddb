/** The name that supervisorctl knows an agent by (000's program name). Computed, never parsed back. */
export const programName = (agent: { readonly owner: string; readonly name: string }): string => `${agent.owner}_${agent.name}_agent`
