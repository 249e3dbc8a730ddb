export interface Worktree {
  /** Absolute: the folder in it that corresponds to the one asked for. */
  readonly cwd: string
  readonly branch: string
}

/** Git worktrees of workers, so that attempts at one task do not touch each other's files. */
export interface Worktrees {
  /** Whether a folder is in a git repository that has a commit; false, too, where there is no git. */
  isRepository(cwd: string): Promise<boolean>
  /**
   * Makes a worktree of the repository that `cwd` is in, or finds the one it made before. Throws INVALID (`cwd`, `worktree`) where it is in none,
   * or `base` names no commit; UNAVAILABLE without git.
   */
  make(workerId: string, from: { readonly cwd: string; readonly base: string }): Promise<Worktree>
  /** Removes it with its folder; its branch too, unless it holds commits of its own. None there is success. */
  remove(workerId: string): Promise<void>
}
