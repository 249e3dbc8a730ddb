import { RegentError } from '../../kernel/errors.ts'
import type { Archive } from '../../ports/archive.ts'

export function createArchive(): Archive {
  return { backup: () => Promise.reject(new RegentError('NOT_YET', 'a backup is not there yet')) }
}
