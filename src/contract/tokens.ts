import { z } from 'zod'

export const roles = ['read-only', 'user', 'admin'] as const
export type Role = (typeof roles)[number]

export const tokenView = z
  .object({
    id: z.string(),
    user: z.string(),
    role: z.enum(roles),
    created_at: z.number().int(),
    last_used_at: z.number().int().nullable(),
    revoked_at: z.number().int().nullable(),
  })
  .meta({ id: 'Token' })
export type TokenView = z.output<typeof tokenView>

/** Who asks. `via` names the door. The local admin is the owner of this Regent. */
export interface Caller {
  readonly user: string
  readonly role: Role
  readonly via: string
  /** Aborted when the token that he came with is revoked; absent for one that cannot be. */
  readonly revoked?: AbortSignal
}
