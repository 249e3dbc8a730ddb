import { z } from 'zod'

/** Words that are paths of the manager and orchestrator APIs, so no agent may have them as its name. */
const reservedNames: readonly string[] = [
  'available',
  'runbooks',
  'capabilities',
  'start',
  'stop',
  'create',
  'delete',
  'register',
  'assign-action-server',
  'remove-action-server',
  'all',
]

const pattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
const rule = 'must start with a letter or digit and hold only letters, digits, _ and -, at most 64 characters'

/** A user's name: also a folder's name, so nothing that could leave it. */
export const userName = z.string().regex(pattern, rule)

/** An agent's name, unique per owner. */
export const agentName = z
  .string()
  .regex(pattern, rule)
  .refine((name) => !reservedNames.includes(name.toLowerCase()), 'is a reserved word')

/** How a caller points at an agent: id, unique id prefix of 4 or more characters, `owner/name`, or a name that is unique. */
export const agentRef = z.string().min(1).max(200).describe('id, unique id prefix, owner/name, or a unique name')
