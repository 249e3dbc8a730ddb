import { COMMANDS_DOOR, CONFIG_KEY, knownAs } from '../../contract/agent-commands.ts'
import type { Caller } from '../../contract/tokens.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'

/**
 * Whoever is known by an id on the bus of agent commands gets its queue: that id comes from there, or from an admin. Throws INVALID for
 * others who give an agent one, or another one; what was stored may be given again.
 */
export function checkKnownAs(before: JsonObject | undefined, after: JsonObject, { via, role }: Caller): void {
  const wished = knownAs(after)
  if (!wished || via === COMMANDS_DOOR || role === 'admin') return
  const known = before && knownAs(before)
  if (known?.agent_id === wished.agent_id && known.customer_id === wished.customer_id) return
  const path = `json_config.${CONFIG_KEY}`
  throw new RegentError('INVALID', `${path}: an agent's id on the bus of agent commands comes from agent.create there`, {
    hint: `leave ${path} out`,
    fields: [{ path, message: 'comes from agent.create on the bus' }],
  })
}
