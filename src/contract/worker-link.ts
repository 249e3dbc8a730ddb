import { z } from 'zod'

/**
 * What the program that stands between a worker's CLI and Regent says over HTTP, with the address and run token of `link.json` in the run
 * directory (`Authorization: Bearer`). It sends its question again, with the same `request_id`, until it is answered, over restarts of Regent.
 */
export const PERMISSION_PATH = '/worker-link/permissions'

export const permissionQuestion = z.strictObject({
  request_id: z.string().min(1).max(200).describe('unique for the run; the same again asks nothing new'),
  tool: z
    .string()
    .min(1)
    .max(500)
    .refine((value) => !value.includes('\0'), 'must not contain NUL'),
  input: z.record(z.string(), z.unknown()),
})
export type PermissionQuestion = z.output<typeof permissionQuestion>

/** `pending`: ask again; the answer was held back for a while in which nobody decided. */
export const permissionAnswer = z.discriminatedUnion('state', [
  z.object({ state: z.literal('pending') }),
  z.object({ state: z.literal('answered'), allow: z.boolean(), message: z.string().nullable() }),
])
export type PermissionAnswer = z.output<typeof permissionAnswer>

/** How long Regent holds a question before it answers `pending`, in ms. */
export const PERMISSION_HOLD_MS = 20_000

/** What tells the asker how long it may go on asking; seconds. Beside `REGENT_RUN_DIR`. */
export const PERMISSION_TIMEOUT_VARIABLE = 'REGENT_PERMISSION_TIMEOUT'
export const DENIED = 'Permission denied by user'
export const DENIED_UNANSWERED = 'Permission denied: nobody answered in time'
