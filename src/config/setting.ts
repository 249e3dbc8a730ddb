import { z } from 'zod'
import { parseDuration, parseSize } from './units.ts'

/** Where else a setting may be given, and whether its value is shown. The first variable that is set counts. */
export interface SettingSource {
  readonly env: readonly string[]
  /** Option of `regent serve`, without the dashes. */
  readonly flag?: string
  readonly secret?: true
  /** May also stand in the project's `.env`. */
  readonly dotenv?: true
  /** A path: relative ones start at the folder of the file, or the working directory. */
  readonly file?: true
}

/** Env names and flags of the leaves of `writtenConfig`; apart from its descriptions, since those are published. */
export const sources = z.registry<SettingSource>()

export const from = <T extends z.ZodType>(schema: T, source: SettingSource): T => {
  sources.add(schema, source)
  return schema
}
export const words = (text: string) => z.array(z.string().min(1)).default([]).describe(text)
export const seconds = (least: number, most: number) =>
  z.union([
    z.number().min(least).max(most),
    z.string().refine((text) => {
      const ms = parseDuration(text)
      return ms !== undefined && ms >= least * 1000 && ms <= most * 1000
    }, `must be a duration between ${least}s and ${most}s, such as "5s" or "1m30s"`),
  ])
export const size = z.union([
  z.number().int().min(4096),
  z.string().refine((text) => (parseSize(text) ?? 0) >= 4096, 'must be a size of at least 4KiB, such as "10MiB"'),
])
export const httpUrl = z.string().regex(/^https?:\/\/[^\s/]+/, 'must be an http:// or https:// address')
export const port = z.int().min(0).max(65_535)
