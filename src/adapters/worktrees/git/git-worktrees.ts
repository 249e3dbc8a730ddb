import type { Logger } from '../../../kernel/logger.ts'
import type { Worktrees } from '../../../ports/worktrees.ts'
export function createGitWorktrees(_options: { readonly dir: string; readonly logger: Logger }): Worktrees {
  const missing = () => Promise.reject(new Error('not there yet'))
  return { isRepository: async () => false, make: missing, remove: async () => {} }
}
