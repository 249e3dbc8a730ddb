import { describe, expect, it } from 'vitest'
import { agentOfIni, supervisorIni } from '../../../src/adapters/project/files/supervisor-ini.ts'

const id = '00000000-0000-4000-8000-000000000001'
const program = {
  agentId: id,
  owner: 'ann',
  name: 'finder',
  argv: ['/usr/bin/node', '--flag=2', '/srv/regent/agents/ann/agents/finder_agent.mjs'],
  directory: '/srv/regent',
  logFile: '/srv/regent/agents/ann/agents/finder_logs.log',
  user: 'ann',
}

/** The keys as supervisord's reader sees them: comments after a blank and `;` or `#` cut off, `%%` read as `%`. */
function read(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith(';') && !line.startsWith('['))
  return Object.fromEntries(
    lines.map((line) => {
      const [key, ...rest] = line.split('=')
      const value = rest
        .join('=')
        .replace(/\s[;#].*$/, '')
        .trim()
      if (/%(?!%)/.test(value.replaceAll('%%', ''))) throw new Error(`an expansion: ${value}`)
      return [key ?? '', value.replaceAll('%%', '%')]
    }),
  )
}

/** A command as supervisord splits it: a POSIX shell's quotes, nothing else. */
function split(command: string): string[] {
  const words = command.match(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g) ?? []
  return words.map((word) => word.replace(/"((?:\\.|[^"\\])*)"/g, (_, inner: string) => inner.replace(/\\(["\\])/g, '$1')))
}

describe('the program section of an agent', () => {
  it('has the promised name and keys [S0-14]', () => {
    const text = supervisorIni(program)
    expect(text).toContain('\n[program:ann_finder_agent]\n')
    expect(read(text)).toEqual({
      command: program.argv.join(' '),
      directory: '/srv/regent',
      autostart: 'false',
      autorestart: 'true',
      stdout_logfile: program.logFile,
      redirect_stderr: 'true',
      user: 'ann',
    })
    expect(agentOfIni(text)).toBe(id)
  })

  it('keeps odd paths as they are', () => {
    const odd = '/srv/a "b" \\c %(here)s 100% $x `y` \'z\' ;not #a comment/é'
    const safe = '/srv/100% %(ENV_HOME)s;x#y'
    const keys = read(supervisorIni({ ...program, argv: ['/usr/bin/node', odd], directory: safe, logFile: safe }))
    expect(split(keys.command ?? '')).toEqual(['/usr/bin/node', odd])
    expect([keys.directory, keys.stdout_logfile]).toEqual([safe, safe])
  })

  it('refuses what could begin a line or a comment', () => {
    for (const bad of ['/srv/a\nuser=root', '/srv/a\r\n[program:x]', '/srv/a ;b', '/srv/a #b', ' /srv', '/srv ', '/srv/\0']) {
      expect(() => supervisorIni({ ...program, directory: bad })).toThrow(expect.objectContaining({ code: 'INVALID' }))
    }
    expect(() => supervisorIni({ ...program, argv: ['a\nb'] })).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })

  it('does not take text of a person for the id of its agent', () => {
    expect(agentOfIni('command=; agent 1\n')).toBeUndefined()
    expect(agentOfIni('')).toBeUndefined()
  })
})
