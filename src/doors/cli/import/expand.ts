import { RegentError } from '../../../kernel/errors.ts'

/**
 * Python's `%(name)s` and `%(name)02d`, with `%%` for a percent sign, as supervisord expands its values. `place` opens the message of
 * the INVALID that is thrown for a name that is not there.
 */
export function expand(text: string, values: Readonly<Record<string, string | number>>, place: string): string {
  return text.replaceAll(/%(?:%|\(([^)]*)\)(-?0?\d*)([a-zA-Z])|(.?))/gs, (whole, name?: string, width = '', kind?: string) => {
    if (whole === '%%') return '%'
    if (name === undefined || (kind !== 's' && kind !== 'd'))
      throw new RegentError('INVALID', `${place}: '${whole}' is no expansion`, { hint: 'write %% for a percent sign' })
    const value = values[name] ?? (name.startsWith('ENV_') ? undefined : values[name.toLowerCase()])
    if (value === undefined) throw missing(name, place)
    return padded(String(value), width)
  })
}

function padded(text: string, width: string): string {
  const size = Math.abs(Number(width || 0))
  if (width.startsWith('-')) return text.padEnd(size)
  return text.padStart(size, width.startsWith('0') ? '0' : ' ')
}

function missing(name: string, place: string): RegentError {
  const variable = name.startsWith('ENV_') ? name.slice(4) : undefined
  return new RegentError('INVALID', `${place}: %(${name})s has no value`, {
    hint:
      variable === undefined
        ? 'known are program_name, process_num, numprocs, group_name, here, host_node_name and ENV_…'
        : `set ${variable} when importing`,
  })
}
