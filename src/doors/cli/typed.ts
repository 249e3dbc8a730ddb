import type { Command } from 'commander'

/** All words as they were typed; the root of the commands has them. */
export function typedBy(command: Command): readonly string[] {
  let root = command
  while (root.parent) root = root.parent
  return (root as Command & { readonly rawArgs: readonly string[] }).rawArgs
}
